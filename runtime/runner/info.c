/* info: what this machine offers to the runtime. */
#define _POSIX_C_SOURCE 200809L

#include <unistd.h>

#include "json.h"
#include "runner.h"

void run_info(runner *runner)
{
    (void)runner;
    const uint32_t features = qb_cpu_features();
    begin_event("info");
    json_text("arch", qb_cpu_arch());
    json_list_begin("features");
#define WRITE_FEATURE(NAME, text)                                                                            \
    if ((features & QB_CPU_##NAME) != 0) json_item_text(text);
    QB_CPU_FEATURES(WRITE_FEATURE)
#undef WRITE_FEATURE
    json_list_end();
    json_list_begin("isas");
    size_t count;
    const struct qb_isa *const *isas = qb_isa_all(&count);
    for (size_t i = 0; i < count; i++) {
        if ((isas[i]->needs & ~features) == 0) json_item_text(isas[i]->name);
    }
    json_list_end();
    json_integer("page_size", sysconf(_SC_PAGESIZE));
    json_integer("cores", sysconf(_SC_NPROCESSORS_ONLN));
    json_end();
}
