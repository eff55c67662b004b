/* A QEMU plugin that counts the guest instructions of one run, and of its parts where the program marks them.
 *
 *     qemu-aarch64 -plugin count_instructions.so,out=FILE PROGRAM
 *
 * At the program's exit FILE holds the number in its last line. The lines before it are the numbers at the program's
 * marks: system calls whose first argument is MARK, of any kind that ignores it (runtime/runner/mark.c). QEMU splits a program into translation blocks; a block's length is known
 * when it is translated and added each time it is executed.
 *
 * Few distributions ship qemu-plugin.h, so the six functions used are declared here. They have had these types
 * since version 1 of the interface (QEMU 6.0); QEMU 9 and later refuse plugins that declare less than version 2.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define CB_NO_REGS 0 /* the callback reads no guest registers */
#define MARK 0x51424d4b

typedef uint64_t plugin_id;
struct qemu_plugin_tb;

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *), int, void *);
void qemu_plugin_register_vcpu_syscall_cb(plugin_id, void (*)(plugin_id, unsigned, int64_t, uint64_t, uint64_t, uint64_t,
                                                              uint64_t, uint64_t, uint64_t, uint64_t, uint64_t));
void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void *), void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);

EXPORT int qemu_plugin_version = PLUGIN_VERSION;

static uint64_t total;
static FILE *output;

static void block_executed(unsigned cpu, void *length) {
    (void)cpu;
    __atomic_fetch_add(&total, (uint64_t)(uintptr_t)length, __ATOMIC_RELAXED);
}

static void block_translated(plugin_id id, struct qemu_plugin_tb *block) {
    (void)id;
    void *length = (void *)(uintptr_t)qemu_plugin_tb_n_insns(block);
    qemu_plugin_register_vcpu_tb_exec_cb(block, block_executed, CB_NO_REGS, length);
}

static void write_total(void) {
    fprintf(output, "%" PRIu64 "\n", __atomic_load_n(&total, __ATOMIC_RELAXED));
}

static void system_called(plugin_id id, unsigned cpu, int64_t number, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                          uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8) {
    (void)id, (void)cpu, (void)number, (void)a2, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (a1 == MARK) write_total();
}

static void program_ended(plugin_id id, void *unused) {
    (void)id;
    (void)unused;
    write_total();
    fclose(output);
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
    (void)info;
    if (argc != 1 || strncmp(argv[0], "out=", 4) != 0) return -1;
    output = fopen(argv[0] + 4, "w");
    if (!output) return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, block_translated);
    qemu_plugin_register_vcpu_syscall_cb(id, system_called);
    qemu_plugin_register_atexit_cb(id, program_ended, NULL);
    return 0;
}
