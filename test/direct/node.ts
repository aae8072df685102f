import { Node, type NodeParts } from '../../enclave/node.ts';
import { DirectWork } from './work.ts';

/** A node in this process and what it does for whoever asks; both say what its phase says. */
export async function openDirectNode(
  parts: NodeParts,
): Promise<{ readonly node: Node; readonly direct: DirectWork }> {
  const { promise, resolve } = Promise.withResolvers<DirectWork>();
  const node = await Node.open({
    ...parts,
    furtherRoutes(serving) {
      resolve(new DirectWork(serving));
      return { routes: () => {}, maxBytes: () => undefined };
    },
  });
  return { node, direct: await promise };
}
