# SPDX-License-Identifier: Apache-2.0
# Builds the commit that the source tree it lies in has checked out: brew install --HEAD packaging/homebrew/cano.rb
class Cano < Formula
  desc "Crash-safe pipes, queues and joinable queues between processes"
  homepage "file://#{Pathname(__dir__).parent.parent}/README.md"
  license "Apache-2.0"
  head "file://#{Pathname(__dir__).parent.parent}", using: :git, branch: "main"

  depends_on "cmake" => :build
  depends_on "ninja" => :build
  depends_on "pkgconf" => [:build, :test]
  depends_on "apr"
  depends_on :linux

  def install
    system "cmake", "-S", ".", "-B", "build", "-G", "Ninja", "-D", "CANO_BUILD_TESTS=OFF", "-D", "CANO_BUILD_EXAMPLES=OFF",
           *std_cmake_args
    system "cmake", "--build", "build"
    system "cmake", "--install", "build"
  end

  test do
    (testpath/"main.c").write <<~C
      #include <cano/cano.h>
      #include <stdio.h>

      int main(void)
      {
          char text[20] = "";
          cano_queue *queue;
          if (cano_queue_create(&queue, NULL, NULL) != CANO_OK || cano_queue_put(queue, "here", 5, CANO_NOW) != CANO_OK ||
              cano_queue_get(queue, text, sizeof text, NULL, CANO_NOW) != CANO_OK) {
              return 1;
          }
          puts(text);
          cano_queue_close(queue);
          return 0;
      }
    C
    flags = shell_output("pkg-config --cflags --libs cano").split
    system ENV.cc, "main.c", "-o", "main", *flags
    assert_equal "here\n", shell_output("./main")
    assert_match "cano", shell_output("#{bin}/cano --version")
  end
end
