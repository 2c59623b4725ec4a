/** Makes the default devices known, and CLAW_DEVICE the one of tensors, as the door is imported. */
import { setDevice } from '@open-claw/core/face';
import { applyEnvironment } from '../environment.js';
import { usePlanFiles } from './plans.js';
import { usePlugins, wantedIds } from './plugins.js';

await applyEnvironment();
usePlanFiles();
await usePlugins({});
setDevice(wantedIds({})[0]);
