# SPDX-License-Identifier: Apache-2.0
# What an installed cano gives to others: find_package(cano) with cano::cano (and cano::cano_static, as component static,
# which needs APR), and pkg-config's cano.pc.
include(CMakePackageConfigHelpers)
set(CANO_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/cano)

install(DIRECTORY include/cano DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")
install(TARGETS cano EXPORT cano_targets
    RUNTIME COMPONENT runtime
    LIBRARY COMPONENT runtime NAMELINK_COMPONENT dev
    ARCHIVE COMPONENT dev)
install(TARGETS cano_static EXPORT cano_static_targets ARCHIVE COMPONENT dev)
install(EXPORT cano_targets FILE cano-targets.cmake NAMESPACE cano:: DESTINATION ${CANO_CMAKE_DIR} COMPONENT dev)
install(EXPORT cano_static_targets FILE cano-static-targets.cmake NAMESPACE cano:: DESTINATION ${CANO_CMAKE_DIR} COMPONENT dev)

configure_package_config_file(cmake/cano-config.cmake.in cano-config.cmake INSTALL_DESTINATION ${CANO_CMAKE_DIR})
write_basic_package_version_file(cano-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/cano-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/cano-config-version.cmake
    cmake/FindAPR.cmake DESTINATION ${CANO_CMAKE_DIR} COMPONENT dev)

# The folder may be moved as a whole, so cano.pc names the others from where it lies; unless a package gives absolute folders.
set(CANO_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
foreach(kind LIB INCLUDE)
    set(CANO_PC_${kind}DIR "\${prefix}/${CMAKE_INSTALL_${kind}DIR}")
    if(IS_ABSOLUTE "${CMAKE_INSTALL_${kind}DIR}")
        set(CANO_PC_${kind}DIR "${CMAKE_INSTALL_${kind}DIR}")
    endif()
endforeach()
if(NOT IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
    file(RELATIVE_PATH up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
    string(REGEX REPLACE "/$" "" up "${up}")
    set(CANO_PC_PREFIX "\${pcfiledir}/${up}")
endif()
configure_file(cmake/cano.pc.in cano.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/cano.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)
install(FILES LICENSE README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT dev)
