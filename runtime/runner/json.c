#include "json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static bool comma; /* whether the next item follows another one */

static void separate(const char *key)
{
    if (comma) putchar(',');
    comma = true;
    if (key != NULL) printf("\"%s\":", key);
}

/* Length of the valid UTF-8 sequence at `text`, 0 where there is none: no overlong forms, surrogates or values above
 * U+10FFFF (Unicode 15, table 3-7). */
static int utf8_length(const unsigned char *text)
{
    const unsigned char lead = text[0];
    if (lead < 0x80) return 1;
    const int length = lead >= 0xC2 && lead <= 0xDF ? 2 : (lead & 0xF0) == 0xE0 ? 3 : lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
    const unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (length > 1 && (text[1] < low || text[1] > high)) return 0;
    for (int i = 2; i < length; i++) {
        if ((text[i] & 0xC0) != 0x80) return 0;
    }
    return length;
}

static void write_text(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    putchar('"');
    while (*at != 0) {
        const int length = utf8_length(at);
        if (length == 0) {
            fputs("\\ufffd", stdout);
        } else if (*at < 0x20 || *at == 0x7F) {
            printf("\\u%04x", *at);
        } else {
            if (*at == '"' || *at == '\\') putchar('\\');
            fwrite(at, 1, (size_t)length, stdout);
        }
        at += length > 0 ? length : 1;
    }
    putchar('"');
}

void json_begin(const char *nonce, const char *event)
{
    putchar('{');
    comma = false;
    json_text("nonce", nonce);
    json_text("event", event);
}

void json_end(void)
{
    fputs("}\n", stdout);
    if (fflush(stdout) != 0) exit(2); /* nobody is listening any more */
}

void json_text(const char *key, const char *text)
{
    separate(key);
    write_text(text);
}

void json_integer(const char *key, int64_t value)
{
    separate(key);
    printf("%" PRId64, value);
}

void json_null(const char *key)
{
    separate(key);
    fputs("null", stdout);
}

void json_list_begin(const char *key)
{
    separate(key);
    putchar('[');
    comma = false;
}

void json_list_end(void)
{
    putchar(']');
    comma = true;
}

void json_item_integer(int64_t value)
{
    json_integer(NULL, value);
}

void json_item_real(float value)
{
    separate(NULL);
    printf("%.9g", (double)value);
}

void json_item_text(const char *text)
{
    json_text(NULL, text);
}
