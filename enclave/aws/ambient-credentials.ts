import { KmsError } from '../../shared/errors.ts';

/**
 * Stands in bundles where the SDK's search for credentials would be: in environment, files, metadata services and child
 * processes. Clients get the lent ones, so nobody asks here; and what is not in the image cannot be asked.
 */
export function defaultProvider(): () => Promise<never> {
  return () =>
    Promise.reject(new KmsError('INTERNAL', 'credentials are lent by the parent and found nowhere else'));
}
