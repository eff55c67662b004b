/* Writes JSON lines to standard output: one object a line, flushed when complete. */
#ifndef RUNNER_JSON_H
#define RUNNER_JSON_H

#include <stdbool.h>
#include <stdint.h>

/* Starts a line: {"nonce":…,"event":… ; fields follow, then json_end. Exits with code 2 where output fails. */
void json_begin(const char *nonce, const char *event);
void json_end(void);

/* A field of the object. Text is escaped, and bytes that are not UTF-8 are replaced. */
void json_text(const char *key, const char *text);
void json_integer(const char *key, int64_t value);
void json_null(const char *key);

/* A list: begin (key NULL inside another list), items, end. Real numbers must be finite. */
void json_list_begin(const char *key);
void json_list_end(void);
void json_item_integer(int64_t value);
void json_item_real(float value);
void json_item_text(const char *text);

#endif
