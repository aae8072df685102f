/** What a hostile parent does to the bytes it carries. Every conduct is a value; one is exchanged for another at any time. */

/** One direction of one connection. */
export interface Wire {
  /** Counted from 0 over all connections of the parent. */
  readonly connection: number;
  /** Who speaks. */
  readonly from: 'enclave' | 'outside';
  /** To the other side of this connection. */
  readonly send: (bytes: Buffer) => void;
  /** Ends the connection. */
  readonly cut: () => void;
}

export interface Conduct {
  readonly name: string;
  /** Where an outbound stream really goes. Undefined: it is refused. */
  readonly route?: (asked: string) => string | undefined;
  /** Makes the handler of what is read on one wire; default: it is sent on. */
  readonly carry?: (wire: Wire) => (chunk: Buffer) => void;
}

export const honest: Conduct = { name: 'honest' };

export const refusing: Conduct = {
  name: 'refuses every connection',
  route: () => undefined,
  carry: (wire) => wire.cut,
};

/** Takes connections and bytes and hands nothing on. */
export const swallowing: Conduct = { name: 'swallows everything', carry: () => () => {} };

/** Loses every k-th chunk. */
export function dropping(k: number): Conduct {
  return perChunk('drops chunks', (wire, chunk, i) => {
    if (i % k !== k - 1) wire.send(chunk);
  });
}

export function delaying(ms: number): Conduct {
  return perChunk('delays', (wire, chunk) => {
    setTimeout(() => wire.send(chunk), ms);
  });
}

/** Swaps neighbouring chunks; a last one goes out alone. */
export const reordering: Conduct = {
  name: 'reorders chunks',
  carry: (wire) => {
    let held: Buffer | undefined;
    let timer: NodeJS.Timeout | undefined;
    return (chunk) => {
      clearTimeout(timer);
      const first = held;
      held = first === undefined ? chunk : undefined;
      if (first !== undefined) {
        wire.send(chunk);
        wire.send(first);
        return;
      }
      timer = setTimeout(() => {
        if (held !== undefined) wire.send(held);
        held = undefined;
      }, 20);
    };
  },
};

/** Bytes of one connection come out at another one of the same direction. */
export function crossing(): Conduct {
  const wires: Wire[] = [];
  return perChunk('crosses streams', (wire, chunk, i) => {
    if (!wires.includes(wire)) wires.push(wire);
    const others = wires.filter((other) => other !== wire && other.from === wire.from);
    (i % 3 === 2 ? (others.at(-1) ?? wire) : wire).send(chunk);
  });
}

/** Every chunk arrives twice. */
export const repeating: Conduct = perChunk('repeats chunks', (wire, chunk) => {
  wire.send(chunk);
  wire.send(chunk);
});

/** Ends a connection after so many bytes of one direction, in the middle of a record if that is where it falls. */
export function truncating(bytes: number): Conduct {
  return {
    name: 'truncates',
    carry: (wire) => {
      let left = bytes;
      return (chunk) => {
        wire.send(chunk.subarray(0, left));
        left -= Math.min(left, chunk.length);
        if (left === 0) wire.cut();
      };
    },
  };
}

/** Turns one bit in every k-th chunk. */
export function corrupting(k: number): Conduct {
  return perChunk('turns bits', (wire, chunk, i) => {
    const bytes = Buffer.from(chunk);
    const at = (i * 7919) % bytes.length;
    if (i % k === k - 1) bytes[at] = (bytes[at] ?? 0) ^ 1;
    wire.send(bytes);
  });
}

/** Sends the enclave's words on with others put between them. */
export const inserting: Conduct = perChunk('inserts bytes', (wire, chunk, i) => {
  if (i % 4 === 3) wire.send(Buffer.from([23, 3, 3, 0, 5, 1, 2, 3, 4, 5]));
  wire.send(chunk);
});

/** A byte at a time. */
export function trickling(ms: number): Conduct {
  return {
    name: 'hands on byte by byte',
    carry: (wire) => {
      let waiting = Buffer.alloc(0);
      const step = (): void => {
        wire.send(waiting.subarray(0, 1));
        waiting = waiting.subarray(1);
        if (waiting.length > 0) setTimeout(step, ms);
      };
      return (chunk) => {
        if (waiting.length === 0) setTimeout(step, ms);
        waiting = Buffer.concat([waiting, chunk]);
      };
    },
  };
}

/** Connects the enclave to another address than it asked for. */
export function misleading(to: (asked: string) => string | undefined): Conduct {
  return { name: 'leads to somebody else', route: to };
}

function perChunk(name: string, handle: (wire: Wire, chunk: Buffer, index: number) => void): Conduct {
  return {
    name,
    carry: (wire) => {
      let index = 0;
      return (chunk) => handle(wire, chunk, index++);
    },
  };
}
