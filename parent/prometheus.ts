import { ENCLAVE_METRICS, type EnclaveMetrics, type MetricMeaning } from '../shared/metrics.ts';
import type { RelayCounters } from './relay.ts';
import type { TelemetrySink } from './telemetry.ts';

type Sample = MetricMeaning & { readonly name: string; readonly values: ReadonlyMap<string, number> };

/** Prometheus' text format 0.0.4. Everything in it is a constant name and a number. */
export function prometheusText(relay: RelayCounters, telemetry: TelemetrySink): string {
  return [...parentSamples(relay, telemetry), ...enclaveSamples(telemetry.metrics)].map(linesOf).join('');
}

export const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

function parentSamples(relay: RelayCounters, telemetry: TelemetrySink): readonly Sample[] {
  const of = (kind: MetricMeaning['kind'], name: string, help: string, value: number): Sample => ({
    ...{ kind, help, name: `kms_parent_${name}` },
    values: new Map([['', value]]),
  });
  return [
    of('gauge', 'inbound_connections', 'Connections from outside to the enclave', relay.inbound),
    of('gauge', 'outbound_connections', 'Connections of the enclave to the outside', relay.outbound),
    of('counter', 'accepted_total', 'Connections from outside that were accepted', relay.accepted),
    of('counter', 'dialled_total', 'Connections that the enclave asked for and may have', relay.dialled),
    of('counter', 'inbound_bytes_total', 'Bytes carried to the enclave', relay.bytesIn),
    of('counter', 'outbound_bytes_total', 'Bytes carried from the enclave', relay.bytesOut),
    of('counter', 'telemetry_lines_total', 'Telemetry lines taken from the enclave', telemetry.lines),
    of('counter', 'telemetry_dropped_total', 'Telemetry lines that were malformed', telemetry.dropped),
    {
      ...{ kind: 'counter', name: 'kms_parent_refused_total', help: 'Connections refused, by reason' },
      values: new Map([...relay.refused].map(([reason, count]) => [`{reason="${reason}"}`, count])),
    },
  ];
}

function enclaveSamples(metrics: EnclaveMetrics): readonly Sample[] {
  const known = new Map(Object.entries(metrics));
  return Object.entries(ENCLAVE_METRICS).flatMap(([name, meaning]) => {
    const value = known.get(name);
    if (value === undefined) return [];
    return [{ ...meaning, name: `kms_enclave_${name}`, values: new Map([['', value]]) }];
  });
}

function linesOf({ kind, name, help, values }: Sample): string {
  const lines = [...values].map(([labels, value]) => `${name}${labels} ${value}`);
  return `${[`# HELP ${name} ${help}`, `# TYPE ${name} ${kind}`, ...lines].join('\n')}\n`;
}
