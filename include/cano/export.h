/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file export.h
 * Say which functions leave the library. The only platform test in a public header.
 *
 * Define CANO_STATIC before including any header of cano to link the static library (the CMake target cano::cano_static
 * does it for you).
 */
#ifndef CANO_EXPORT_H
#define CANO_EXPORT_H

/** @def CANO_API
 * Marks what leaves the library. */
#if defined(CANO_STATIC)
#define CANO_API
#elif defined(_WIN32) && defined(CANO_BUILD)
#define CANO_API __declspec(dllexport)
#elif defined(_WIN32)
#define CANO_API __declspec(dllimport)
#else
#define CANO_API __attribute__((visibility("default")))
#endif

#endif
