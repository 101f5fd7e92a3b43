/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chooses the bug that is planted (mutation.h): by the environment variable KILL_MUTATION, before main. Linked into the programs
 * of the mutation check only.
 */
#include "mutation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cano_mutation;

#define NAME(name) #name,
static const char *const names[] = { "NONE", CANO_MUTATIONS_ALL(NAME) };

static void list(void)
{
    for (int i = 1; i < CANO_MUTATION_COUNT; i++) {
        printf("%s\n", names[i]);
    }
    exit(0);
}

__attribute__((constructor)) static void choose(void)
{
    const char *name = getenv("KILL_MUTATION");
    if (name != NULL && strcmp(name, "list") == 0) {
        list();
    }
    for (int i = 0; name != NULL && i < CANO_MUTATION_COUNT; i++) {
        if (strcmp(names[i], name) == 0) {
            cano_mutation = i;
            return;
        }
    }
    fprintf(stderr, "KILL_MUTATION names no mutation\n");
    exit(2);
}
