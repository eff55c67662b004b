/* The records of the model and dataset files as C structs, expanded from include/format.def, which specifies them,
 * and the op codes from include/ops.def. */
#ifndef QB_FORMAT_H
#define QB_FORMAT_H

#include <stdint.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the files are little-endian and read in place");

typedef uint8_t qb_u8;
typedef uint16_t qb_u16;
typedef uint32_t qb_u32;
typedef uint64_t qb_u64;
typedef int32_t qb_i32;
typedef float qb_f32;

#define QB_CONST(NAME, value) enum { QB_##NAME = value };
#define QB_STRUCT(name, size)                                                                                \
    enum { QB_SIZE_OF_##name = size };                                                                       \
    typedef struct qb_##name {
#define QB_FIELD(type, name) qb_##type name;
#define QB_ARRAY(type, name, count) qb_##type name[count];
#define QB_END(name)                                                                                         \
    }                                                                                                        \
    qb_##name;                                                                                               \
    _Static_assert(sizeof(qb_##name) == QB_SIZE_OF_##name, "format.def and the compiler differ on " #name);
#include "../include/format.def"
#undef QB_CONST
#undef QB_STRUCT
#undef QB_FIELD
#undef QB_ARRAY
#undef QB_END

/* The order of qb_model_header.sections. */
enum {
    QB_SECTION_TENSORS,
    QB_SECTION_NODES,
    QB_SECTION_LINKS,
    QB_SECTION_SCALES,
    QB_SECTION_STRINGS,
    QB_SECTION_DATA,
    QB_SECTION_COUNT
};

enum {
#define QB_OP(code, NAME, ir, arithmetics) QB_OP_##NAME = code,
#include "../include/ops.def"
#undef QB_OP
};

#endif
