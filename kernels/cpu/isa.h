// One source, one namespace per instruction set. A kernel file includes everything it needs, then this
// header, and then opens `namespace mg::MG_ISA`: from here to the end of the file functions are compiled for
// that instruction set, and only they. (With -mavx512f as a flag, an inline function of a standard header
// could be emitted with AVX-512 and picked by the linker for the whole program.) MG_KERNEL at the end of the
// file makes the public function that chooses at run time, and that takes bf16 by conversion.
#pragma once

#include "kernels/cpu/in_f32.h"
#include "kernels/stream.h"

#ifndef MG_ISA  // tools that read a file by itself
#define MG_ISA portable
#define MG_ISA_portable 1
#endif

#if defined(MG_ISA_avx512)
inline constexpr int kVectorFloats = 16;
#elif defined(MG_ISA_avx2)
inline constexpr int kVectorFloats = 8;
#else
inline constexpr int kVectorFloats = 4;
#endif

#if defined(__x86_64__)
#define MG_KERNEL_DISPATCH(name)           \
  switch (stream.isa()) {                  \
    case Isa::avx512:                      \
      return avx512::name(args, stream);   \
    case Isa::avx2:                        \
      return avx2::name(args, stream);     \
    case Isa::portable:                    \
      return portable::name(args, stream); \
  }
#define MG_KERNEL_DECLARE(name, Args) \
  namespace portable {                \
  void name(const Args&, CpuStream&); \
  }                                   \
  namespace avx2 {                    \
  void name(const Args&, CpuStream&); \
  }                                   \
  namespace avx512 {                  \
  void name(const Args&, CpuStream&); \
  }
#else
#define MG_KERNEL_DISPATCH(name) return portable::name(args, stream);
#define MG_KERNEL_DECLARE(name, Args) \
  namespace portable {                \
  void name(const Args&, CpuStream&); \
  }
#endif

// MG_KERNEL(conv3d_forward, Conv3dForward): defines mg::conv3d_forward(const Conv3dForward&, CpuStream&),
// once in the program.
#if defined(MG_ISA_portable)
#define MG_KERNEL(name, Args)                                                              \
  namespace mg {                                                                           \
  MG_KERNEL_DECLARE(name, Args)                                                            \
  static void name##_f32(const Args& args, CpuStream& stream) { MG_KERNEL_DISPATCH(name) } \
  void name(const Args& args, CpuStream& stream) {                                         \
    in_f32(args, stream, [&](const Args& f32) { name##_f32(f32, stream); });               \
  }                                                                                        \
  }
#else
#define MG_KERNEL(name, Args)
#endif

#if defined(__GNUC__) && !defined(__clang__)
#if defined(MG_ISA_avx512)
#pragma GCC target("avx2,fma,f16c,bmi2,avx512f,avx512bw,avx512dq,avx512vl,avx512cd,prefer-vector-width=512")
#elif defined(MG_ISA_avx2)
#pragma GCC target("avx2,fma,f16c,bmi2")
#endif
#endif

namespace mg::MG_ISA {

// A register of fp32 lanes. Arithmetic on it is element by element; a * b + c contracts to one fused
// multiply-add.
typedef float Vec __attribute__((vector_size(kVectorFloats * sizeof(float)), aligned(4), may_alias));

}  // namespace mg::MG_ISA
