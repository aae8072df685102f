import { boot } from '../../enclave/boot.ts';
import { directRoutes } from './routes.ts';

/** A mock enclave that also serves DirectService. It lives with the tests: no bundle contains it. */
await boot({ furtherRoutes: directRoutes });
