import { KmsError } from '../../shared/errors.ts';
import type { OpenPlatform } from './platform.ts';

export const openPlatform: OpenPlatform = async () => {
  throw new KmsError('UNAVAILABLE', 'not built yet');
};
