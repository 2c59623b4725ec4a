/** Chinese texts of all errors; a code that is missing here does not compile. */
import type { messagesEnglish } from './messages.en.js';

type Table = Readonly<
  Record<keyof typeof messagesEnglish, { readonly what: string; readonly fix: string }>
>;

export const messagesChinese: Table = {
  'OC-INTERNAL-01': {
    what: '内部规则被破坏：{what}',
    fix: '请附上模型和命令报告此问题；这是 OpenCLAW 的缺陷',
  },
  'OC-REFUSED-01': {
    what: '拒绝 {subject}：{reason}',
    fix: '换用其他设备或数据类型，或导出不含它的模型',
  },
  'OC-REFUSED-02': {
    what: '{resource} 不足：需要 {need}，现有 {have}',
    fix: '减小尺寸，或换用该资源更多的设备',
  },
  'OC-SHAPE-01': {
    what: '{op}：形状不匹配：{left} 与 {right}：{reason}',
    fix: '使各维大小相等；需要广播的维设为 1',
  },
  'OC-SHAPE-02': {
    what: '{op}：内侧维大小不同：{left} × {right}',
    fix: '转置或重排其中一侧，使被收缩的维大小相等',
  },
  'OC-SHAPE-03': {
    what: '{op}：{reason}',
    fix: '对照该算子的文档检查轴、大小和属性',
  },
  'OC-SHAPE-04': {
    what: '运行时大小有误：{what}：{left} ≠ {right}',
    fix: '提供大小符合模型要求的输入',
  },
  'OC-DTYPE-01': {
    what: '{op}：此处不允许数据类型 {dtype}：{reason}',
    fix: '先转换输入的数据类型',
  },
  'OC-DTYPE-02': {
    what: '{op}：数据类型不同：{left} 与 {right}',
    fix: '将其中一侧转换为另一侧的数据类型',
  },
  'OC-RUN-01': {
    what: '{op}：整数除以零',
    fix: '提供不为零的除数，或改用浮点数相除',
  },
  'OC-RUN-02': {
    what: '{op}：索引 {index} 超出大小 {size}',
    fix: '提供从 0 起、小于该大小的索引',
  },
  'OC-REFUSED-03': {
    what: '拒绝 {count} 个算子：{list}',
    fix: '换用其他设备或数据类型，或导出不含它们的模型',
  },
  'OC-MEMORY-01': {
    what: '需要 {need} 字节设备内存，上限为 {limit}；最大的值占 {largest} 字节',
    fix: '减小尺寸、提高上限，或换用内存更大的设备',
  },
  'OC-RUN-03': {
    what: '{op}：索引超出所在轴的大小',
    fix: '索引须从 0 起且小于该轴大小',
  },
  'OC-RUN-04': {
    what: '{op}：值的数量超出结果的容量',
    fix: '提高容量，或提供更小的输入',
  },
  'OC-RUN-05': {
    what: '给出了 {given} 个输入，程序需要 {expected} 个',
    fix: '为模型的每个输入各提供一个张量',
  },
  'OC-RUN-06': {
    what: '输入“{name}”的数据类型为 {given}，程序需要 {expected}',
    fix: '先转换输入的数据类型',
  },
  'OC-RUN-07': {
    what: '输入“{name}”的形状为 {given}，程序需要 {expected}',
    fix: '提供大小符合模型的输入',
  },
  'OC-RUN-08': {
    what: '程序已被释放',
    fix: '重新加载后再运行',
  },
  'OC-RUN-09': {
    what: '用于输出 {index} 的数组不合适：给出 {given}，需要 {expected}',
    fix: '提供与该输出数据类型和形状一致的数组',
  },
  'OC-TENSOR-01': {
    what: '张量在释放之后又被使用',
    fix: '在读取所有由它得到的结果之前保留它，或先读取这些结果',
  },
  'OC-TENSOR-02': {
    what: '这些值位于多个设备上：{devices}',
    fix: '用 `await x.on(device)` 把它们移到同一设备',
  },
  'OC-TENSOR-03': {
    what: '{op}：{value} 不是 {dtype} 类型的值',
    fix: '给出该数据类型的值，或先转换张量的类型',
  },
  'OC-TENSOR-04': {
    what: '嵌套数组不是矩形：{reason}',
    fix: '让所有行的长度相同',
  },
  'OC-TENSOR-05': {
    what: '记录（grad、jit）中的值在记录之外被使用',
    fix: '从被记录的函数中返回该值',
  },
  'OC-TENSOR-06': {
    what: 'item：张量有 {count} 个元素',
    fix: '先归约为一个元素，或用 `data()` 读取',
  },
  'OC-TENSOR-07': {
    what: '没有可以计算张量的设备',
    fix: "用设备插件调用 `use(plugin)`，或导入 '@open-claw/openclaw'",
  },
  'OC-TENSOR-08': {
    what: 'grad：函数必须返回一个浮点标量；实际返回 {given}',
    fix: '先归约结果，例如用 `mean()`',
  },
  'OC-NN-01': {
    what: '保存的参数中缺少“{path}”',
    fix: '加载由相同的层保存的参数',
  },
  'OC-NN-02': {
    what: '保存的参数“{path}”是 {given}，此处需要 {expected}',
    fix: '加载由相同的层保存的参数，或先转换其类型',
  },
  'OC-DEVICE-08': {
    what: '插件“{name}”使用合约版本 {given}，本 OpenCLAW 使用 {expected}',
    fix: '更新较旧的一方：版本低于 {expected} 时更新插件，高于时更新 OpenCLAW',
  },
  'OC-DEVICE-09': {
    what: '设备丢失：{reason}',
    fix: '重新打开设备，或换用其他设备',
  },
  'OC-DEVICE-11': {
    what: '没有 {row} 的编译器：{reason}',
    fix: '安装 {install}',
  },
  'OC-DEVICE-12': {
    what: '没有 {row} 的驱动：{reason}',
    fix: '安装或更新 {install}',
  },
  'OC-DEVICE-13': {
    what: '没有 {row} 的卡：{reason}',
    fix: '检查卡是否在位、{variable} 是否把它隐藏，以及 {install}',
  },
  'OC-TRACE-01': {
    what: '记录的第 {line} 行无效：{reason}',
    fix: '给出由 `claw devices --trace FILE` 写出的原文件',
  },
  'OC-PB-01': {
    what: 'protobuf：数据提前结束：需要 {need} 字节，只剩 {have} 字节',
    fix: '请重新获取文件；文件被截断或已损坏',
  },
  'OC-PB-02': {
    what: 'protobuf：变长整数超过 64 位',
    fix: '请重新获取文件；文件已损坏或不是 protobuf',
  },
  'OC-PB-03': {
    what: 'protobuf：线类型应为 {expected}，实为 {found}',
    fix: '请重新获取文件；文件已损坏或属于其他种类',
  },
  'OC-PB-04': {
    what: 'protobuf：不允许 {what}',
    fix: '请重新获取文件；文件已损坏或属于其他种类',
  },
  'OC-PB-05': {
    what: 'protobuf：消息嵌套深度超过 {limit}',
    fix: '若文件可信，请调高限制 `depth`',
  },
  'OC-PB-06': {
    what: 'protobuf：字符串不是有效的 UTF-8',
    fix: '请用有效的名称重新导出模型',
  },
  'OC-PB-07': {
    what: 'protobuf：只能出现一次的字段出现了两次',
    fix: '请重新导出模型；不同读取程序对此类文件的理解不一致',
  },
  'OC-PB-08': {
    what: 'protobuf：整数 {value} 超出此处允许的范围',
    fix: '请修正模型；不可能有这么大的尺寸',
  },
  'OC-PB-09': {
    what: '{what} 过多：{count}，上限为 {limit}',
    fix: '若文件可信，请调高限制',
  },
  'OC-PB-10': {
    what: 'protobuf：{bytes} 字节的打包字段不是 {size} 的整数倍',
    fix: '请重新获取文件；文件已损坏',
  },
  'OC-ONNX-01': {
    what: '不是 ONNX 模型：{bytes} 字节中没有计算图',
    fix: '请检查文件是否为完整的 .onnx 模型',
  },
  'OC-ONNX-02': {
    what: '不支持 IR 版本 {version}；支持 1 到 {newest}',
    fix: '请按该范围内的 IR 版本导出模型',
  },
  'OC-ONNX-03': {
    what: '没有为域“{domain}”导入算子集，而 {user} 需要它',
    fix: '请在模型或函数的 opset_import 中加入该域',
  },
  'OC-ONNX-04': {
    what: '不支持域“{domain}”的算子集 {version}；支持 1 到 {newest}',
    fix: '请将模型转换到受支持的算子集',
  },
  'OC-ONNX-05': {
    what: '未知的域“{domain}”，由 {user} 使用',
    fix: '请导出不含该域的模型，或把其函数放入模型',
  },
  'OC-ONNX-06': {
    what: '张量“{tensor}”：不可能的尺寸 [{dims}]',
    fix: '请修正尺寸；尺寸为负或乘积超过 2^53',
  },
  'OC-ONNX-07': {
    what: '张量“{tensor}”：原始数据有 {have} 字节，而其尺寸需要 {need} 字节',
    fix: '请重新导出模型；尺寸与数据不一致',
  },
  'OC-ONNX-08': {
    what: '张量“{tensor}”：{field} 中有 {have} 个值，而其尺寸需要 {need} 个',
    fix: '请重新导出模型；尺寸与数据不一致',
  },
  'OC-ONNX-09': {
    what: '“{name}”的数据类型 {number} 未知',
    fix: '请使用 ONNX 规范中的数据类型导出模型',
  },
  'OC-ONNX-10': {
    what: '张量“{tensor}”：{reason}',
    fix: '请重新导出模型；张量只能有一份数据，且位于其数据类型对应的字段',
  },
  'OC-ONNX-11': {
    what: '不支持：{reason}',
    fix: '请导出不含它的模型',
  },
  'OC-ONNX-12': {
    what: '张量“{tensor}”：拒绝外部数据位置“{location}”：{reason}',
    fix: '请把数据放在模型旁边，并用相对路径命名',
  },
  'OC-ONNX-13': {
    what: '张量“{tensor}”：外部数据：{reason}',
    fix: '请重新导出模型；偏移和长度必须在数据文件之内',
  },
  'OC-ONNX-14': {
    what: '张量“{tensor}”：拒绝外部数据键“{key}”：{reason}',
    fix: '只使用 location、offset、length 和 checksum，且各出现一次',
  },
  'OC-ONNX-15': {
    what: '无法读取外部数据“{location}”：{reason}',
    fix: '请把数据文件放在模型所在的文件夹',
  },
  'OC-ONNX-16': {
    what: '拒绝“{location}”：{reason}',
    fix: '请用文件本身代替链接，并放在模型所在的文件夹内',
  },
  'OC-ONNX-17': {
    what: '“{location}”在读取过程中发生了变化',
    fix: '请在没有程序写入它时重新读取',
  },
  'OC-ONNX-18': {
    what: '同一计算图中有两个值都名为“{name}”',
    fix: '请让每个值有自己的名称',
  },
  'OC-ONNX-19': {
    what: '使用了值“{name}”，但没有任何地方产生它',
    fix: '请更正名称，或添加相应的输入或初始值',
  },
  'OC-ONNX-20': {
    what: '值“{name}”在产生它的节点之前被使用',
    fix: '请对节点排序，使每个节点位于其输入之后',
  },
  'OC-ONNX-21': {
    what: '节点经由值“{name}”形成环',
    fix: '请去掉环；需要迭代时请用 Loop',
  },
  'OC-ONNX-22': {
    what: '计算图输出“{name}”没有来源',
    fix: '请更正输出的名称',
  },
  'OC-ONNX-23': {
    what: '函数“{name}”直接或间接调用了自己',
    fix: '请去掉递归；需要迭代时请用 Loop',
  },
  'OC-ONNX-24': {
    what: '计算图嵌套深度超过 {limit}',
    fix: '若文件可信，请调高限制 `subgraphDepth`',
  },
  'OC-ONNX-25': {
    what: '值“{name}”没有类型',
    fix: '请导出带有输入输出类型的模型',
  },
  'OC-ONNX-26': {
    what: '属性“{name}”：{reason}',
    fix: '请重新导出模型；属性只有一个值，且与其类型一致',
  },
  'OC-ONNX-27': {
    what: '函数“{name}”：{reason}',
    fix: '请更正该函数的定义',
  },
  'OC-ONNX-28': {
    what: '稀疏张量“{tensor}”：{reason}',
    fix: '请重新导出模型；索引必须有序、不重复且在尺寸之内',
  },
  'OC-ONNX-29': {
    what: '数据与声明的类型 {type} 不符：{reason}',
    fix: '请提供符合声明类型的数据',
  },
  'OC-ONNX-30': {
    what: '节点格式有误：{reason}',
    fix: '请重新导出模型',
  },
  'OC-ONNX-31': {
    what: '模型内函数的调用展开后超过 {limit} 个节点',
    fix: '若文件可信，请调高限制 `expandedNodes`',
  },
  'OC-ONNX-32': {
    what: '{count} 个节点被拒绝：{list}',
    fix: '导出模型时避开这些算子或版本',
  },
  'OC-NPY-01': {
    what: '不是 .npy 文件：开头的字节不对',
    fix: '请检查文件是否由 numpy.save 写出',
  },
  'OC-NPY-02': {
    what: '.npy 版本 {version} 未知；可读取 1.0、2.0 和 3.0',
    fix: '请用当前版本的 NumPy 重新保存数组',
  },
  'OC-NPY-03': {
    what: '.npy 文件头：{reason}',
    fix: '请重新保存数组；文件头已损坏',
  },
  'OC-NPY-04': {
    what: '拒绝含 Python 对象的 .npy（数据类型 {dtype}）：读取它会执行代码',
    fix: '请保存数字或文本，不要保存对象',
  },
  'OC-NPY-05': {
    what: '不支持 .npy 数据类型 {dtype}：{reason}',
    fix: '请在保存前用 astype 转换数组',
  },
  'OC-NPY-06': {
    what: '.npy 形状 [{shape}] 不可能存在',
    fix: '请重新保存数组；文件头已损坏',
  },
  'OC-NPY-07': {
    what: '.npy：数据有 {have} 字节，而形状需要 {need} 字节',
    fix: '请重新获取文件；文件被截断或已损坏',
  },
  'OC-ZIP-01': {
    what: 'zip：{reason}',
    fix: '请重新获取文件；文件已损坏或不是 zip 压缩包',
  },
  'OC-ZIP-02': {
    what: '拒绝压缩包条目名“{name}”：{reason}',
    fix: '请用普通的相对名称重新打包',
  },
  'OC-ZIP-03': {
    what: '“{name}”解压后超过 {limit} 字节',
    fix: '若文件可信，请调高限制',
  },
  'OC-ZIP-04': {
    what: 'zip 条目“{name}”：不支持{reason}',
    fix: '请用 stored 或 deflate 方式重新打包，且不要加密',
  },
  'OC-ZIP-05': {
    what: '“{name}”：校验和不对',
    fix: '请重新获取文件；文件已损坏',
  },
  'OC-TAR-01': {
    what: 'tar：{reason}',
    fix: '请重新获取文件；文件已损坏或不是 tar 归档',
  },
  'OC-SAFETENSORS-01': {
    what: 'safetensors 文件头：{reason}',
    fix: '请重新获取文件；文件已损坏或不是 safetensors 文件',
  },
  'OC-SAFETENSORS-02': {
    what: 'safetensors 张量“{name}”：{reason}',
    fix: '请重新保存张量；数据类型、形状与数据不一致',
  },
  'OC-SAFETENSORS-03': {
    what: 'safetensors 数据：{reason}',
    fix: '请重新保存张量；各张量的数据须首尾相接直到文件末尾',
  },
  'OC-JSON-01': {
    what: 'JSON 张量：{reason}',
    fix: '请提供 {"dtype", "shape", "data"} 或各层长度相等的嵌套数组',
  },
  'OC-BUNDLE-01': {
    what: '模型包已损坏：{reason}',
    fix: '请重新复制，或重新生成：claw compile MODEL --target T -o BUNDLE',
  },
  'OC-BUNDLE-02': {
    what: '模型包由 {made} 生成；当前是 {have}',
    fix: '请用当前版本重新生成：claw compile MODEL --target T -o BUNDLE',
  },
  'OC-BUNDLE-03': {
    what: '模型包中没有此次运行所需的内核',
    fix: '请用运行时的大小重新生成：claw compile MODEL --size NAME=N',
  },
  'OC-BUNDLE-04': {
    what: '没有已安装的插件能为 {target} 编译',
    fix: '请安装该目标的设备软件包，或指定其他目标',
  },
  'OC-DEVICE-01': {
    what: '设备内存不足：申请 {asked} 字节，剩余 {free} 字节',
    fix: '减小尺寸、释放张量，或换用内存更大的设备',
  },
  'OC-DEVICE-02': {
    what: '第 {command} 条命令在设备上失败：{reason}',
    fix: '在另一个设备上运行同一程序，以判断是模型还是设备的问题',
  },
  'OC-DEVICE-03': {
    what: '句柄在此设备上无效：{reason}',
    fix: '只使用本设备的内存和模块，释放或关闭后不要再使用',
  },
  'OC-DEVICE-04': {
    what: '已达到 {limit} 毫秒的时间上限，运行停止',
    fix: '提高时间上限，或减小尺寸',
  },
  'OC-DEVICE-05': {
    what: '已按中止信号停止',
    fix: '无需处理；这是调用方的要求',
  },
  'OC-DEVICE-06': {
    what: '没有设备“{id}”',
    fix: '用 `claw devices` 列出可用设备',
  },
  'OC-DEVICE-07': {
    what: '内核编译失败：{reason}',
    fix: '请附上模型和目标报告此问题；编译器输出指明了出错的行',
  },
  'OC-NATIVE-01': {
    what: '不使用缓存文件夹 {path}：{reason}',
    fix: '请将其设为属于自己且权限为 700 的文件夹，或用 CLAW_CACHE 指定其他文件夹',
  },
  'OC-NATIVE-02': {
    what: '无法写入缓存文件夹 {path}：{reason}',
    fix: '请在该处腾出空间，或用 CLAW_CACHE 指定其他文件夹',
  },
  'OC-NATIVE-03': {
    what: '此处没有可用的 C 编译器：{reason}',
    fix: '请安装 gcc 或 clang 及其 C 库（Debian 上：apt install build-essential）',
  },
  'OC-USAGE-01': {
    what: '{reason}',
    fix: '参见 `claw --help` 或 `claw 命令 --help`',
  },
  'OC-USAGE-02': {
    what: '本版本不提供 `claw {command}`',
    fix: '可用的命令参见 `claw --help`',
  },
  'OC-USAGE-03': {
    what: '无法读取 {path}：{reason}',
    fix: '请指定一个存在且可读的文件',
  },
  'OC-USAGE-04': {
    what: '无法写入 {path}：{reason}',
    fix: '请指定一个存在且可写的文件夹',
  },
  'OC-USAGE-06': {
    what: '没有文件 {path}',
    fix: '请检查路径；相对路径以当前工作文件夹为准',
  },
  'OC-USAGE-05': {
    what: '此功能需要软件包 {name}，但它没有安装',
    fix: '请与 OpenCLAW 一起安装：npm install {name}',
  },
  'OC-PLUGIN-01': {
    what: '无法加载插件 {name}：{reason}',
    fix: '请指定导出 `plugin`（DevicePlugin）的模块；参见 devices/template',
  },
  'OC-INPUT-01': {
    what: '输入“{name}”：{reason}',
    fix: '请给出与 `claw inspect` 所示数据类型和形状一致的张量',
  },
  'OC-INPUT-02': {
    what: '模型没有输入“{name}”；它的输入是 {known}',
    fix: '请使用 `claw inspect` 显示的名称',
  },
  'OC-INPUT-03': {
    what: '缺少输入：{names}',
    fix: '请用 --input 名称=文件 逐个给出，或用 --random 种子 全部随机生成；在代码中写 run({name: value})',
  },
  'OC-INPUT-04': {
    what: '尺寸未知：{names}',
    fix: '请用 --size 名称=数值 逐个给出，或直接给出输入',
  },
  'OC-INPUT-05': {
    what: '{path}：{reason}',
    fix: '输入文件的种类参见 `claw run --help`',
  },
  'OC-FETCH-01': {
    what: '无法获取 {url}：{reason}',
    fix: '请检查地址，或先下载文件再给出其路径',
  },
};
