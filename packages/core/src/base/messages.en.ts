/** English texts of all errors. `{name}` marks are filled from the error's details. */
export const messagesEnglish = {
  'OC-INTERNAL-01': {
    what: 'internal rule broken: {what}',
    fix: 'report it with the model and the command; this is a bug in OpenCLAW',
  },
  'OC-REFUSED-01': {
    what: '{subject} is refused: {reason}',
    fix: 'use another device or dtype, or export the model without it',
  },
  'OC-REFUSED-02': {
    what: '{resource} is too small: need {need}, have {have}',
    fix: 'use smaller sizes or a device with more of it',
  },
  'OC-SHAPE-01': {
    what: '{op}: shapes do not fit: {left} and {right}: {reason}',
    fix: 'make the sizes equal, or 1 where they shall be broadcast',
  },
  'OC-SHAPE-02': {
    what: '{op}: inner sizes differ: {left} × {right}',
    fix: 'transpose or reshape one side so that the contracted sizes are equal',
  },
  'OC-SHAPE-03': {
    what: '{op}: {reason}',
    fix: 'check axes, sizes and attributes against the documentation of the operator',
  },
  'OC-SHAPE-04': {
    what: 'a size is wrong at run time: {what}: {left} ≠ {right}',
    fix: 'give inputs whose sizes satisfy the model',
  },
  'OC-DTYPE-01': {
    what: '{op}: dtype {dtype} is not allowed here: {reason}',
    fix: 'cast the input first',
  },
  'OC-DTYPE-02': {
    what: '{op}: dtypes differ: {left} and {right}',
    fix: 'cast one side to the dtype of the other',
  },
  'OC-RUN-01': {
    what: '{op}: an integer is divided by zero',
    fix: 'give divisors that are not zero, or divide floats',
  },
  'OC-RUN-02': {
    what: '{op}: index {index} is outside the size {size}',
    fix: 'give indices from 0 up to, not including, the size',
  },
  'OC-REFUSED-03': {
    what: '{count} operators are refused: {list}',
    fix: 'use another device or dtype, or export the model without them',
  },
  'OC-MEMORY-01': {
    what: '{need} bytes of memory needed, the limit is {limit}; the largest value has {largest}',
    fix: 'use smaller sizes, raise the limit, or take a device with more memory',
  },
  'OC-RUN-03': {
    what: '{op}: an index is outside the size of its axis',
    fix: 'give indices from 0 up to, not including, the size',
  },
  'OC-RUN-04': {
    what: '{op}: more values than the result has room for',
    fix: 'raise the capacity or give smaller inputs',
  },
  'OC-RUN-05': {
    what: '{given} inputs are given where the program takes {expected}',
    fix: 'give one tensor for each input of the model',
  },
  'OC-RUN-06': {
    what: 'input "{name}" has dtype {given}; the program takes {expected}',
    fix: 'cast the input first',
  },
  'OC-RUN-07': {
    what: 'input "{name}" has shape {given}; the program takes {expected}',
    fix: 'give an input whose sizes fit the model',
  },
  'OC-RUN-08': {
    what: 'the program was released',
    fix: 'load it again before running it',
  },
  'OC-RUN-09': {
    what: 'the array for output {index} does not fit: {given} where {expected} belongs',
    fix: 'give an array of the dtype and shape of the output',
  },
  'OC-TENSOR-01': {
    what: 'a tensor is used after it was released',
    fix: 'keep it until everything made from it was read, or read that first',
  },
  'OC-TENSOR-02': {
    what: 'the values lie on several devices: {devices}',
    fix: 'move them to one device with `await x.on(device)`',
  },
  'OC-TENSOR-03': {
    what: '{op}: {value} is not a value of {dtype}',
    fix: 'give a value of that dtype, or cast the tensor first',
  },
  'OC-TENSOR-04': {
    what: 'nested arrays are not rectangular: {reason}',
    fix: 'make all rows equally long',
  },
  'OC-TENSOR-05': {
    what: 'a value of a recording (grad, jit) is used outside of it',
    fix: 'return the value from the recorded function',
  },
  'OC-TENSOR-06': {
    what: 'item: the tensor has {count} elements',
    fix: 'reduce it to one element first, or read it with `data()`',
  },
  'OC-TENSOR-07': {
    what: 'no device is there to compute tensors on',
    fix: "call `use(plugin)` with a device's plug-in, or import '@open-claw/openclaw'",
  },
  'OC-TENSOR-08': {
    what: 'grad: the function must return one float scalar; it returned {given}',
    fix: 'reduce the result, for example with `mean()`',
  },
  'OC-NN-01': {
    what: "the saved parameters lack '{path}'",
    fix: 'load parameters that were saved from the same layers',
  },
  'OC-NN-02': {
    what: "the saved parameter '{path}' is {given} where {expected} belongs",
    fix: 'load parameters that were saved from the same layers, or cast them first',
  },
  'OC-DEVICE-08': {
    what: 'the plug-in "{name}" speaks contract {given}; this OpenCLAW speaks {expected}',
    fix: 'update whichever is older: the plug-in below {expected}, OpenCLAW above it',
  },
  'OC-DEVICE-09': {
    what: 'the device is lost: {reason}',
    fix: 'open the device again, or use another',
  },
  'OC-DEVICE-11': {
    what: 'no compiler for {row}: {reason}',
    fix: 'install {install}',
  },
  'OC-DEVICE-12': {
    what: 'no driver of {row}: {reason}',
    fix: 'install or update {install}',
  },
  'OC-DEVICE-13': {
    what: 'no card of {row}: {reason}',
    fix: 'check that a card is there, that {variable} does not hide it, and {install}',
  },
  'OC-TRACE-01': {
    what: 'line {line} of the trace is none: {reason}',
    fix: 'give the file as `claw devices --trace FILE` wrote it',
  },
  'OC-PB-01': {
    what: 'protobuf: the data ends too early: {need} bytes needed, {have} left',
    fix: 'get the file again; it is truncated or damaged',
  },
  'OC-PB-02': {
    what: 'protobuf: a variable-length integer is longer than 64 bits',
    fix: 'get the file again; it is damaged or not protobuf',
  },
  'OC-PB-03': {
    what: 'protobuf: wire type {found} where {expected} belongs',
    fix: 'get the file again; it is damaged or of another kind',
  },
  'OC-PB-04': {
    what: 'protobuf: {what} is not allowed',
    fix: 'get the file again; it is damaged or of another kind',
  },
  'OC-PB-05': {
    what: 'protobuf: messages are nested deeper than {limit}',
    fix: 'raise the limit `depth` if the file is trusted',
  },
  'OC-PB-06': {
    what: 'protobuf: a string is not valid UTF-8',
    fix: 'export the model again with valid names',
  },
  'OC-PB-07': {
    what: 'protobuf: a field that may stand once stands twice',
    fix: 'export the model again; readers disagree on such files',
  },
  'OC-PB-08': {
    what: 'protobuf: the integer {value} is outside the range that is allowed here',
    fix: 'correct the model; no size can be that large',
  },
  'OC-PB-09': {
    what: 'too many {what}: {count}, the limit is {limit}',
    fix: 'raise the limit if the file is trusted',
  },
  'OC-PB-10': {
    what: 'protobuf: a packed field of {bytes} bytes is no multiple of {size}',
    fix: 'get the file again; it is damaged',
  },
  'OC-ONNX-01': {
    what: 'not an ONNX model: no graph in {bytes} bytes',
    fix: 'check that the file is an .onnx model and complete',
  },
  'OC-ONNX-02': {
    what: 'IR version {version} is not supported; 1 to {newest} are',
    fix: 'export the model for an IR version in that range',
  },
  'OC-ONNX-03': {
    what: 'no opset is imported for domain "{domain}", which {user} needs',
    fix: 'add the domain to opset_import of the model or function',
  },
  'OC-ONNX-04': {
    what: 'opset {version} of domain "{domain}" is not supported; 1 to {newest} are',
    fix: 'convert the model to a supported opset',
  },
  'OC-ONNX-05': {
    what: 'domain "{domain}" is unknown, used by {user}',
    fix: 'export the model without it or bring its functions inside the model',
  },
  'OC-ONNX-06': {
    what: 'tensor "{tensor}": impossible sizes [{dims}]',
    fix: 'correct the sizes; they are negative or their product is above 2^53',
  },
  'OC-ONNX-07': {
    what: 'tensor "{tensor}": {have} bytes of raw data where its sizes need {need}',
    fix: 'export the model again; sizes and data disagree',
  },
  'OC-ONNX-08': {
    what: 'tensor "{tensor}": {have} values in {field} where its sizes need {need}',
    fix: 'export the model again; sizes and data disagree',
  },
  'OC-ONNX-09': {
    what: 'data type {number} of "{name}" is unknown',
    fix: 'export the model with a data type of the ONNX specification',
  },
  'OC-ONNX-10': {
    what: 'tensor "{tensor}": {reason}',
    fix: 'export the model again; a tensor has one payload, of the field its data type names',
  },
  'OC-ONNX-11': {
    what: 'not supported: {reason}',
    fix: 'export the model without it',
  },
  'OC-ONNX-12': {
    what: 'tensor "{tensor}": external data location "{location}" is refused: {reason}',
    fix: 'put the data beside the model and name it by a relative path',
  },
  'OC-ONNX-13': {
    what: 'tensor "{tensor}": external data: {reason}',
    fix: 'export the model again; offset and length must lie inside the data file',
  },
  'OC-ONNX-14': {
    what: 'tensor "{tensor}": external data key "{key}" is refused: {reason}',
    fix: 'use only location, offset, length and checksum, each once',
  },
  'OC-ONNX-15': {
    what: 'external data "{location}" cannot be read: {reason}',
    fix: 'put the data file in the folder of the model',
  },
  'OC-ONNX-16': {
    what: '"{location}" is refused: {reason}',
    fix: 'replace the link by the file itself, inside the folder of the model',
  },
  'OC-ONNX-17': {
    what: '"{location}" changed while it was being read',
    fix: 'read it again when nothing writes to it',
  },
  'OC-ONNX-18': {
    what: 'the name "{name}" is given to two values of one graph',
    fix: 'give each value its own name',
  },
  'OC-ONNX-19': {
    what: 'the value "{name}" is used but nothing makes it',
    fix: 'correct the name, or add the input or initializer',
  },
  'OC-ONNX-20': {
    what: 'the value "{name}" is used before the node that makes it',
    fix: 'sort the nodes so that each comes after its inputs',
  },
  'OC-ONNX-21': {
    what: 'nodes form a cycle through the value "{name}"',
    fix: 'remove the cycle; use Loop for iteration',
  },
  'OC-ONNX-22': {
    what: 'the graph output "{name}" is made by nothing',
    fix: 'correct the name of the output',
  },
  'OC-ONNX-23': {
    what: 'the function "{name}" calls itself, directly or through others',
    fix: 'remove the recursion; use Loop for iteration',
  },
  'OC-ONNX-24': {
    what: 'graphs are nested deeper than {limit}',
    fix: 'raise the limit `subgraphDepth` if the file is trusted',
  },
  'OC-ONNX-25': {
    what: 'the value "{name}" has no type',
    fix: 'export the model with the types of its inputs and outputs',
  },
  'OC-ONNX-26': {
    what: 'attribute "{name}": {reason}',
    fix: 'export the model again; an attribute has one value, of the kind its type names',
  },
  'OC-ONNX-27': {
    what: 'function "{name}": {reason}',
    fix: 'correct the definition of the function',
  },
  'OC-ONNX-28': {
    what: 'sparse tensor "{tensor}": {reason}',
    fix: 'export the model again; indices must be sorted, unique and inside the sizes',
  },
  'OC-ONNX-29': {
    what: 'the data does not fit the declared type {type}: {reason}',
    fix: 'give data of the declared type',
  },
  'OC-ONNX-30': {
    what: 'a node is malformed: {reason}',
    fix: 'export the model again',
  },
  'OC-ONNX-31': {
    what: 'the calls of model-local functions expand to more than {limit} nodes',
    fix: 'raise the limit `expandedNodes` if the file is trusted',
  },
  'OC-ONNX-32': {
    what: '{count} nodes are refused: {list}',
    fix: 'export the model without these operators or versions',
  },
  'OC-NPY-01': {
    what: 'not an .npy file: its first bytes are wrong',
    fix: 'check that the file was written by numpy.save',
  },
  'OC-NPY-02': {
    what: '.npy version {version} is unknown; 1.0, 2.0 and 3.0 are read',
    fix: 'save the array again with a current NumPy',
  },
  'OC-NPY-03': {
    what: '.npy header: {reason}',
    fix: 'save the array again; the header is damaged',
  },
  'OC-NPY-04': {
    what: '.npy with Python objects (dtype {dtype}) is refused: reading it would run code',
    fix: 'save numbers or text, never objects',
  },
  'OC-NPY-05': {
    what: '.npy dtype {dtype} is not supported: {reason}',
    fix: 'convert the array with astype before saving',
  },
  'OC-NPY-06': {
    what: '.npy shape [{shape}] is impossible',
    fix: 'save the array again; the header is damaged',
  },
  'OC-NPY-07': {
    what: '.npy: {have} bytes of data where the shape needs {need}',
    fix: 'get the file again; it is truncated or damaged',
  },
  'OC-ZIP-01': {
    what: 'zip: {reason}',
    fix: 'get the file again; it is damaged or not a zip archive',
  },
  'OC-ZIP-02': {
    what: 'archive entry name "{name}" is refused: {reason}',
    fix: 'repack the archive with plain relative names',
  },
  'OC-ZIP-03': {
    what: '"{name}" unpacks to more than {limit} bytes',
    fix: 'raise the limit if the file is trusted',
  },
  'OC-ZIP-04': {
    what: 'zip entry "{name}": {reason} is not supported',
    fix: 'repack with the methods stored or deflate, without encryption',
  },
  'OC-ZIP-05': {
    what: '"{name}": the checksum is wrong',
    fix: 'get the file again; it is damaged',
  },
  'OC-TAR-01': {
    what: 'tar: {reason}',
    fix: 'get the file again; it is damaged or not a tar archive',
  },
  'OC-SAFETENSORS-01': {
    what: 'safetensors header: {reason}',
    fix: 'get the file again; it is damaged or not a safetensors file',
  },
  'OC-SAFETENSORS-02': {
    what: 'safetensors tensor "{name}": {reason}',
    fix: 'save the tensors again; dtype, shape and data disagree',
  },
  'OC-SAFETENSORS-03': {
    what: 'safetensors data: {reason}',
    fix: 'save the tensors again; their data must follow one another up to the end of the file',
  },
  'OC-JSON-01': {
    what: 'JSON tensor: {reason}',
    fix: 'give {"dtype", "shape", "data"} or nested arrays of equal lengths',
  },
  'OC-BUNDLE-01': {
    what: 'the bundle is damaged: {reason}',
    fix: 'copy it again, or make it anew: claw compile MODEL --target T -o BUNDLE',
  },
  'OC-BUNDLE-02': {
    what: 'the bundle was made by {made}; this is {have}',
    fix: 'make it anew with this version: claw compile MODEL --target T -o BUNDLE',
  },
  'OC-BUNDLE-03': {
    what: 'the bundle has no kernels for what this run needs',
    fix: 'make it anew with the sizes of the run: claw compile MODEL --size NAME=N',
  },
  'OC-BUNDLE-04': {
    what: 'no installed plug-in compiles for {target}',
    fix: 'install the device package of that target, or name another target',
  },
  'OC-DEVICE-01': {
    what: 'out of device memory: {asked} bytes asked, {free} free',
    fix: 'use smaller sizes, release tensors, or take a device with more memory',
  },
  'OC-DEVICE-02': {
    what: 'command {command} failed on the device: {reason}',
    fix: 'run the same program on another device to see whether model or device is at fault',
  },
  'OC-DEVICE-03': {
    what: 'a handle is not valid on this device: {reason}',
    fix: 'use memory and modules of this device only, and none after free or close',
  },
  'OC-DEVICE-04': {
    what: 'stopped at the time limit of {limit} ms',
    fix: 'raise the time limit or use smaller sizes',
  },
  'OC-DEVICE-05': {
    what: 'stopped by the abort signal',
    fix: 'nothing to fix; the caller asked for it',
  },
  'OC-DEVICE-06': {
    what: 'there is no device "{id}"',
    fix: 'list the devices with `claw devices`',
  },
  'OC-DEVICE-07': {
    what: 'the kernels did not compile: {reason}',
    fix: 'report it with the model and the target; the compiler text above names the line',
  },
  'OC-NATIVE-01': {
    what: 'the cache folder {path} is not used: {reason}',
    fix: 'make it a folder of your own with mode 700, or name another in CLAW_CACHE',
  },
  'OC-NATIVE-02': {
    what: 'the cache folder {path} cannot be written: {reason}',
    fix: 'free some space there, or name another folder in CLAW_CACHE',
  },
  'OC-NATIVE-03': {
    what: 'no C compiler works here: {reason}',
    fix: 'install gcc or clang with its C library (on Debian: apt install build-essential)',
  },
  'OC-USAGE-01': {
    what: '{reason}',
    fix: 'see `claw --help`, or `claw COMMAND --help`',
  },
  'OC-USAGE-02': {
    what: '`claw {command}` is not available in this version',
    fix: 'see `claw --help` for the commands that are',
  },
  'OC-USAGE-03': {
    what: '{path} cannot be read: {reason}',
    fix: 'name a file that exists and that you may read',
  },
  'OC-USAGE-04': {
    what: '{path} cannot be written: {reason}',
    fix: 'name a folder that exists and that you may write to',
  },
  'OC-USAGE-06': {
    what: 'there is no file {path}',
    fix: 'check the path; it is taken from the working folder',
  },
  'OC-USAGE-05': {
    what: 'the package {name} is needed for this and is not installed',
    fix: 'install it beside OpenCLAW: npm install {name}',
  },
  'OC-PLUGIN-01': {
    what: 'the plug-in {name} cannot be loaded: {reason}',
    fix: 'name a module that exports `plugin`, a DevicePlugin; see devices/template',
  },
  'OC-INPUT-01': {
    what: 'input "{name}": {reason}',
    fix: 'give a tensor of the dtype and shape that `claw inspect` shows',
  },
  'OC-INPUT-02': {
    what: 'the model has no input "{name}"; it has {known}',
    fix: 'use a name that `claw inspect` shows',
  },
  'OC-INPUT-03': {
    what: 'inputs are missing: {names}',
    fix: 'give each by --input NAME=FILE, or all by --random SEED; in code, in run({name: value})',
  },
  'OC-INPUT-04': {
    what: 'sizes are not known: {names}',
    fix: 'give each as --size NAME=NUMBER, or give the inputs themselves',
  },
  'OC-INPUT-05': {
    what: '{path}: {reason}',
    fix: 'see `claw run --help` for the kinds of input files',
  },
  'OC-FETCH-01': {
    what: '{url} cannot be fetched: {reason}',
    fix: 'check the address, or download the file and give its path',
  },
} as const;
