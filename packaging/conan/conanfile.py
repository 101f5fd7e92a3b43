# SPDX-License-Identifier: Apache-2.0
"""Builds the source tree it lies in, by Conan 2:  conan create packaging/conan"""
import os
import re

from conan import ConanFile
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load
from conan.tools.gnu import PkgConfigDeps


class Cano(ConanFile):
    name = "cano"
    description = "Crash-safe pipes, queues and joinable queues between processes"
    license = "Apache-2.0"
    topics = ("ipc", "queue", "pipe", "shared-memory")
    package_type = "shared-library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"tools": [True, False]}
    default_options = {"tools": True}

    @property
    def _tree(self):
        return os.path.join(self.recipe_folder, "..", "..")

    def set_version(self):
        lists = load(self, os.path.join(self._tree, "CMakeLists.txt"))
        self.version = re.search(r"^project\(cano VERSION ([0-9.]+)", lists, re.MULTILINE).group(1)

    def export_sources(self):
        for pattern in ("CMakeLists.txt", "LICENSE", "README.md", "CHANGELOG.md", "cmake/*", "include/*", "src/*", "tools/*", "docs/*"):
            copy(self, pattern, self._tree, self.export_sources_folder)

    def configure(self):
        self.settings.rm_safe("compiler.cppstd")
        self.settings.rm_safe("compiler.libcxx")

    def requirements(self):
        self.requires("apr/1.7.4")

    def layout(self):
        cmake_layout(self)

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables["CANO_BUILD_TESTS"] = False
        toolchain.cache_variables["CANO_BUILD_EXAMPLES"] = False
        toolchain.cache_variables["CANO_BUILD_TOOLS"] = bool(self.options.tools)
        toolchain.generate()
        CMakeDeps(self).generate()
        PkgConfigDeps(self).generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        CMake(self).install()

    def package_info(self):
        self.cpp_info.libs = ["cano"]
        self.cpp_info.set_property("cmake_file_name", "cano")
        self.cpp_info.set_property("cmake_target_name", "cano::cano")
        self.cpp_info.set_property("pkg_config_name", "cano")
