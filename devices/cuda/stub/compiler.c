/*
 * The stub's compiler: takes the text of kernels, reads their heads, and builds the text as C with
 * the system's compiler. Its result is {magic, architecture, length, shared library}.
 */
#include <ctype.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define CODE_MAGIC "CLAWCODE"
typedef struct {
  char magic[8];
  char architecture[24];
  uint64_t bytes;
} claw_code_head;

typedef struct {
  char *text;
  size_t length, room;
} claw_text;

static void claw_append(claw_text *t, const char *s, size_t n) {
  if (t->length + n + 1 > t->room) {
    t->room = 2 * (t->length + n + 64);
    t->text = realloc(t->text, t->room);
  }
  memcpy(t->text + t->length, s, n);
  t->length += n;
  t->text[t->length] = 0;
}
static void claw_say(claw_text *t, const char *s) { claw_append(t, s, strlen(s)); }

/* Faults on demand: CLAW_STUB_FAULT=KIND@N, the N-th call of that kind since the text was set. */
static int claw_fault(const char *kind) {
  static char seen[128];
  static int count;
  const char *wanted = getenv("CLAW_STUB_FAULT");
  if (wanted == NULL) wanted = "";
  if (strncmp(seen, wanted, sizeof seen - 1) != 0) {
    strncpy(seen, wanted, sizeof seen - 1);
    count = 0;
  }
  size_t n = strlen(kind);
  if (strncmp(wanted, kind, n) != 0 || wanted[n] != '@') return 0;
  return ++count == atoi(wanted + n + 1);
}

static size_t claw_size_of(const char *type, size_t n) {
  static const struct {
    const char *name;
    size_t bytes;
  } sizes[] = {{"float", 4},         {"double", 8},        {"int", 4},   {"unsigned int", 4},
               {"long long", 8},     {"unsigned char", 1}, {"short", 2}, {"unsigned long long", 8},
               {"unsigned short", 2}, {"signed char", 1},  {"bool", 1}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    if (strlen(sizes[i].name) == n && strncmp(type, sizes[i].name, n) == 0) return sizes[i].bytes;
  return 0;
}

/* Bytes of the shared arrays that stand between two places of the text. */
static uint64_t claw_shared_bytes(const char *from, const char *to) {
  uint64_t bytes = 0;
  for (const char *p = from; (p = strstr(p, "__shared__ ")) != NULL && p < to;) {
    p += 11;
    const char *open = strchr(p, '['), *name = open;
    if (open == NULL) break;
    while (name > p && name[-1] != ' ') name--;
    bytes += claw_size_of(p, (size_t)(name - 1 - p)) * strtoull(open + 1, NULL, 10);
  }
  return bytes;
}

/* Writes how a kernel is called with an array of pointers to its parameters, and its table line. */
static const char *claw_kernel_lines(const char *head, claw_text *calls, claw_text *table) {
  const char *end = strstr(head + 1, "__global__");
  const char *bound = strstr(head, "__launch_bounds__(");
  const char *open = strchr(head, '(');
  int threads = 0;
  if (end == NULL) end = head + strlen(head);
  if (bound != NULL && open != NULL && bound < open) {
    threads = atoi(bound + 18);
    open = strchr(strchr(open, ')'), '(');
  }
  const char *close = open == NULL ? NULL : strchr(open, ')');
  if (close == NULL || close > end) return end;
  const char *name = open;
  while (isalnum((unsigned char)name[-1]) || name[-1] == '_') name--;
  char line[512], letters[256] = "";
  int n = (int)(open - name), count = 0;
  snprintf(line, sizeof line, "static void claw_call_%.*s(void **p) {\n  (void)p;\n  %.*s(", n, name,
           n, name);
  claw_say(calls, line);
  for (const char *p = open + 1; p < close && count < 255;) {
    const char *stop = memchr(p, ',', (size_t)(close - p));
    if (stop == NULL) stop = close;
    while (isspace((unsigned char)*p)) p++;
    const char *word = stop;
    while (word > p && (isalnum((unsigned char)word[-1]) || word[-1] == '_')) word--;
    if (word > p) {
      int star = memchr(p, '*', (size_t)(word - p)) != NULL;
      size_t trimmed = (size_t)(word - p);
      while (trimmed > 0 && p[trimmed - 1] == ' ') trimmed--;
      char letter = star ? (strncmp(p, "const ", 6) == 0 ? 'r' : 'w')
                         : (char)('0' + claw_size_of(p, trimmed));
      snprintf(line, sizeof line, "%s*(%.*s *)p[%d]", count > 0 ? ", " : "", (int)(word - p), p,
               count);
      claw_say(calls, line);
      letters[count++] = letter;
      letters[count] = 0;
    }
    p = stop + 1;
  }
  claw_say(calls, ");\n}\n");
  const char *wait = strstr(close, "__sync"), *exchange = strstr(close, "__shfl");
  int waits = (wait != NULL && wait < end) || (exchange != NULL && exchange < end);
  snprintf(line, sizeof line, "  {\"%.*s\", claw_call_%.*s, \"%s\", %lluull, %d, %d},\n", n, name, n,
           name, letters, (unsigned long long)claw_shared_bytes(close, end), threads, waits);
  claw_say(table, line);
  return end;
}

/* The text as C: without language linkage, between the shim and the table of kernels. */
static claw_text claw_translate(const char *source) {
  claw_text out = {0}, calls = {0}, table = {0};
  claw_say(&out, STUB_SHIM);
  claw_say(&out, "\n#line 1 \"kernels\"\n");
  for (const char *p = source; *p != 0;) {
    const char *linkage = strstr(p, "extern \"C\"");
    if (linkage == NULL) linkage = p + strlen(p);
    claw_append(&out, p, (size_t)(linkage - p));
    p = *linkage == 0 ? linkage : linkage + 10;
  }
  claw_say(&calls, "\n");
  for (const char *p = strstr(source, "__global__"); p != NULL && *p != 0;)
    p = claw_kernel_lines(p, &calls, &table);
  claw_say(&out, calls.text);
  claw_say(&out, "const claw_kernel claw_kernels[] = {\n");
  if (table.text != NULL) claw_say(&out, table.text);
  claw_say(&out,
           "  {0}};\n"
           "char *claw_shared_start(void) { return __start_claw_shared; }\n"
           "unsigned long claw_shared_length(void) {\n"
           "  return (unsigned long)(__stop_claw_shared - __start_claw_shared);\n}\n");
  free(calls.text);
  free(table.text);
  return out;
}

static char *claw_read_file(const char *path, size_t *length) {
  FILE *file = fopen(path, "rb");
  *length = 0;
  if (file == NULL) return NULL;
  fseek(file, 0, SEEK_END);
  long size = ftell(file);
  rewind(file);
  char *bytes = malloc((size_t)size + 1);
  *length = fread(bytes, 1, (size_t)size, file);
  bytes[*length] = 0;
  fclose(file);
  return bytes;
}

/* Builds a text; 0 and the code, or 1 and the log. Both are the caller's. */
static int claw_build(const char *source, const char *architecture, char **code, size_t *length,
                      char **log) {
  char folder[] = "/tmp/claw-stub-XXXXXX", in[64], out[64], told[64];
  *code = NULL;
  *length = 0;
  *log = NULL;
  if (mkdtemp(folder) == NULL) return 1;
  snprintf(in, sizeof in, "%s/kernels.c", folder);
  snprintf(out, sizeof out, "%s/kernels.so", folder);
  snprintf(told, sizeof told, "%s/log", folder);
  claw_text text = claw_translate(source);
  FILE *file = fopen(in, "wb");
  if (claw_fault("compile")) fputs("#error an error on demand\n", file);
  fwrite(text.text, 1, text.length, file);
  fclose(file);
  free(text.text);
  char *arguments[] = {STUB_CC, "-std=gnu11",     "-O1",           "-fPIC",
                       "-shared", "-w",           "-fwrapv",       "-fno-strict-aliasing",
                       "-fno-math-errno", "-ffp-contract=off", in, "-o", out, "-lm", NULL};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 2, told, O_WRONLY | O_CREAT, 0600);
  pid_t child;
  int status = 1;
  if (posix_spawn(&child, STUB_CC, &actions, NULL, arguments, environ) == 0)
    waitpid(child, &status, 0);
  posix_spawn_file_actions_destroy(&actions);
  size_t told_length, size;
  *log = claw_read_file(told, &told_length);
  char *library = status == 0 ? claw_read_file(out, &size) : NULL;
  if (library != NULL) {
    claw_code_head head = {.magic = CODE_MAGIC, .bytes = size};
    strncpy(head.architecture, architecture, sizeof head.architecture - 1);
    *length = sizeof head + size;
    *code = malloc(*length);
    memcpy(*code, &head, sizeof head);
    memcpy(*code + sizeof head, library, size);
    free(library);
  }
  unlink(in);
  unlink(out);
  unlink(told);
  rmdir(folder);
  return *code == NULL;
}

/* The architecture that an option names, NULL where the option is another one. */
static const char *claw_architecture(const char *option) {
  size_t n = strlen(STUB_ARCHITECTURE_OPTION);
  if (n == 0 || strncmp(option, STUB_ARCHITECTURE_OPTION, n) != 0) return NULL;
  return option + n;
}
static int claw_known_architecture(const char *name) {
  static const char *const known[] = {STUB_ARCHITECTURES, NULL};
  for (int i = 0; known[i] != NULL; i++)
    if (strcmp(known[i], name) == 0) return 1;
  return 0;
}

#ifdef STUB_PROGRAM
/* As a command: OPTIONS INPUT -o OUTPUT. */
int main(int count, char **arguments) {
  const char *in = NULL, *out = NULL, *architecture = NULL;
  for (int i = 1; i < count; i++) {
    const char *named = claw_architecture(arguments[i]);
    if (named != NULL) architecture = named;
    else if (strcmp(arguments[i], "-o") == 0 && i + 1 < count) out = arguments[++i];
    else if (strcmp(arguments[i], "-x") == 0) i++;
    else if (arguments[i][0] != '-') in = arguments[i];
  }
  if (in == NULL || out == NULL || architecture == NULL || !claw_known_architecture(architecture)) {
    fprintf(stderr, "error: no input, no output or an architecture that is unknown\n");
    return 1;
  }
  char *code, *log;
  size_t length, bytes;
  char *source = claw_read_file(in, &bytes);
  if (source == NULL || claw_build(source, architecture, &code, &length, &log) != 0) {
    fputs(source == NULL ? "error: the input cannot be read" : log, stderr);
    return 1;
  }
  FILE *file = fopen(out, "wb");
  fwrite(code, 1, length, file);
  return fclose(file) == 0 ? 0 : 1;
}
#else
typedef struct {
  char *source, *code, *log;
  size_t length;
} claw_program;

static int claw_programCreate(void **made, const char *source, const char *name, int count,
                              void *headers, void *names) {
  (void)name, (void)headers, (void)names;
  if (made == NULL || source == NULL || count != 0) return 3;
  claw_program *program = calloc(1, sizeof *program);
  program->source = strdup(source);
  *made = program;
  return 0;
}
static int claw_programCompile(void *handle, int count, const char *const *options) {
  claw_program *program = handle;
  const char *architecture = STUB_ARCHITECTURE_OPTION[0] == 0 ? STUB_FIRST_ARCHITECTURE : NULL;
  for (int i = 0; i < count; i++) {
    const char *named = claw_architecture(options[i]);
    if (named != NULL) architecture = named;
  }
  if (architecture == NULL || !claw_known_architecture(architecture)) {
    program->log = strdup("error: the option of the architecture is missing or unknown");
    return 5;
  }
  return claw_build(program->source, architecture, &program->code, &program->length,
                    &program->log) == 0
             ? 0
             : 6;
}
static int claw_programLogSize(void *handle, size_t *size) {
  claw_program *program = handle;
  *size = (program->log == NULL ? 0 : strlen(program->log)) + 1;
  return 0;
}
static int claw_programLog(void *handle, char *into) {
  claw_program *program = handle;
  strcpy(into, program->log == NULL ? "" : program->log);
  return 0;
}
static int claw_programCodeSize(void *handle, size_t *size) {
  claw_program *program = handle;
  *size = program->length;
  return program->code == NULL ? 7 : 0;
}
static int claw_programCode(void *handle, char *into) {
  claw_program *program = handle;
  if (program->code == NULL) return 7;
  memcpy(into, program->code, program->length);
  return 0;
}
static int claw_programDestroy(void **handle) {
  claw_program *program = *handle;
  free(program->source);
  free(program->code);
  free(program->log);
  free(program);
  *handle = NULL;
  return 0;
}
static const char *claw_programErrorText(int code) {
  static const char *const texts[] = {"SUCCESS",        "OUT_OF_MEMORY",  "PROGRAM_CREATION_FAILURE",
                                      "INVALID_INPUT",  "INVALID_PROGRAM", "INVALID_OPTION",
                                      "COMPILATION",    "NO_CODE"};
  return code >= 0 && code < 8 ? texts[code] : "UNKNOWN";
}
static int claw_compilerVersion(int *major, int *minor) {
  *major = 1;
  *minor = 0;
  return 0;
}
#endif
