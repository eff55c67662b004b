/* Preloaded into a peer: answers its CPUID instructions as a processor with AVX2 and nothing later would.
 *
 * Peers ask the processor what it has, and none of them can be told to use less. benchmarks/avx2_only.py replaces each
 * CPUID (0F A2) in copies of their libraries by HLT, NOP (F4 90), which a program may not execute: it arrives here as
 * SIGSEGV, is answered from the real CPUID with the later extensions left out, and the program goes on behind it.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

#define BIT(n) (1u << (n))

/* Intel SDM volume 2, CPUID. Leaf 7, subleaf 0: every AVX-512 extension, GFNI, VAES, VPCLMULQDQ, AMX. */
static const uint32_t leaf7_ebx = BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31);
static const uint32_t leaf7_ecx = BIT(1) | BIT(6) | BIT(8) | BIT(9) | BIT(10) | BIT(11) | BIT(12) | BIT(14);
static const uint32_t leaf7_edx = BIT(2) | BIT(3) | BIT(8) | BIT(22) | BIT(23) | BIT(24) | BIT(25);

static void answer(uint32_t leaf, uint32_t subleaf, uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
    __cpuid_count(leaf, subleaf, *a, *b, *c, *d);
    if (leaf == 7 && subleaf == 0) {
        *b &= ~leaf7_ebx;
        *c &= ~leaf7_ecx;
        *d &= ~leaf7_edx;
    } else if (leaf == 7) {
        *a = *b = *c = *d = 0; /* AVX-VNNI, AVX-IFMA, AVX-VNNI-INT8, AMX-FP16, AVX10 and nothing older */
    }
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)info;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const uint8_t *at = (const uint8_t *)(uintptr_t)registers[REG_RIP];
    if (at[0] != 0xF4 || at[1] != 0x90) {
        signal(number, SIG_DFL); /* a fault of the program's own: it happens again, and ends it */
        return;
    }
    uint32_t a, b, c, d;
    answer((uint32_t)registers[REG_RAX], (uint32_t)registers[REG_RCX], &a, &b, &c, &d);
    registers[REG_RAX] = a;
    registers[REG_RBX] = b;
    registers[REG_RCX] = c;
    registers[REG_RDX] = d;
    registers[REG_RIP] += 2;
}

__attribute__((constructor)) static void install(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
}
