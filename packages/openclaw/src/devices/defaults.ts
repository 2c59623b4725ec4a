/** Makes the default devices known, and CLAW_DEVICE the one of tensors, as the door is imported. */
import { setDevice } from '@open-claw/core';
import { applyEnvironment } from '../environment.js';
import { usePlugins, wantedIds } from './plugins.js';

applyEnvironment();
await usePlugins({});
setDevice(wantedIds({})[0]);
