/* SPDX-License-Identifier: Apache-2.0 */
/* main.c in C++17, by cano.hpp. */
#include <cano/cano.hpp>
#include <iostream>

int main()
{
    cano::queue queue = cano::queue::create();
    queue.put("here");
    std::cout << queue.next().text() << ": cano " << cano_version() << "\n";
}
