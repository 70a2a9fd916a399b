#include "tools/convert/pickle_globals.h"

#include <array>

namespace mg {

namespace {

using Arguments = std::vector<const PickleValue*>;

bool is(const Arguments& arguments, std::size_t i, PickleKind kind) {
  return i < arguments.size() && arguments[i]->kind == kind;
}

const char* ordered_dict(const Arguments& arguments, PickleValue& result) {
  result.kind = PickleKind::dict;
  return arguments.empty() ? nullptr : "no argument";
}

// Their arguments are not copied: a pickle can name one long list a million times.
template <PickleKind kArgument>
const char* opaque(const Arguments& arguments, PickleValue& result) {
  result.kind = PickleKind::opaque;
  if (arguments.size() == 1 && is(arguments, 0, kArgument)) return nullptr;
  if constexpr (kArgument == PickleKind::list) return "a list";
  if constexpr (kArgument == PickleKind::dict) return "a dict";
  return "a tuple";
}

// bytes, as protocol 2 spells them
const char* encode(const Arguments& arguments, PickleValue& result) {
  result.kind = PickleKind::opaque;
  return arguments.size() == 2 && is(arguments, 0, PickleKind::text) && is(arguments, 1, PickleKind::text)
             ? nullptr
             : "a text and an encoding";
}

const char* device(const Arguments& arguments, PickleValue& result) {
  result.kind = PickleKind::opaque;
  return is(arguments, 0, PickleKind::text) ? nullptr : "a text";
}

// (storage, offset, sizes, strides, requires_grad, backward_hooks[, metadata])
const char* tensor(const Arguments& arguments, PickleValue& result) {
  if (arguments.size() < 6 || arguments.size() > 7 || !is(arguments, 0, PickleKind::storage) ||
      !is(arguments, 1, PickleKind::integer) || !is(arguments, 2, PickleKind::tuple) ||
      !is(arguments, 3, PickleKind::tuple)) {
    return "a storage, its offset, sizes, strides, requires_grad and hooks";
  }
  result.kind = PickleKind::tensor;
  result.items.assign(arguments.begin(), arguments.begin() + 4);
  return nullptr;
}

// (tensor, requires_grad, backward_hooks)
const char* parameter(const Arguments& arguments, PickleValue& result) {
  if (arguments.size() != 3 || !is(arguments, 0, PickleKind::tensor))
    return "a tensor, requires_grad and hooks";
  result = *arguments[0];
  return nullptr;
}

constexpr std::array kGlobals{
    PickleGlobal{"collections", "OrderedDict", ordered_dict},
    PickleGlobal{"torch._utils", "_rebuild_tensor_v2", tensor},
    PickleGlobal{"torch._utils", "_rebuild_parameter", parameter},
    // Storages are named, never called.
    PickleGlobal{"torch", "FloatStorage", nullptr, "F32"},
    PickleGlobal{"torch", "DoubleStorage", nullptr, "F64"},
    PickleGlobal{"torch", "HalfStorage", nullptr, "F16"},
    PickleGlobal{"torch", "BFloat16Storage", nullptr, "BF16"},
    PickleGlobal{"torch", "LongStorage", nullptr, "I64"},
    PickleGlobal{"torch", "IntStorage", nullptr, "I32"},
    PickleGlobal{"torch", "ShortStorage", nullptr, "I16"},
    PickleGlobal{"torch", "CharStorage", nullptr, "I8"},
    PickleGlobal{"torch", "ByteStorage", nullptr, "U8"},
    PickleGlobal{"torch", "BoolStorage", nullptr, "BOOL"},
    // What stands beside a state dict: schedulers' counters, sets, bytes, sizes, devices, dtypes.
    PickleGlobal{"collections", "Counter", opaque<PickleKind::dict>},
    PickleGlobal{"__builtin__", "set", opaque<PickleKind::list>},
    PickleGlobal{"builtins", "set", opaque<PickleKind::list>},
    PickleGlobal{"_codecs", "encode", encode},
    PickleGlobal{"torch", "Size", opaque<PickleKind::tuple>},
    PickleGlobal{"torch", "device", device},
    PickleGlobal{"torch", "float32", nullptr},
    PickleGlobal{"torch", "float64", nullptr},
    PickleGlobal{"torch", "float16", nullptr},
    PickleGlobal{"torch", "bfloat16", nullptr},
    PickleGlobal{"torch", "int64", nullptr},
    PickleGlobal{"torch", "int32", nullptr},
    PickleGlobal{"torch", "int16", nullptr},
    PickleGlobal{"torch", "int8", nullptr},
    PickleGlobal{"torch", "uint8", nullptr},
    PickleGlobal{"torch", "bool", nullptr},
};

}  // namespace

const PickleGlobal* find_pickle_global(std::string_view module, std::string_view name) {
  for (const PickleGlobal& global : kGlobals) {
    if (module == global.module && name == global.name) return &global;
  }
  return nullptr;
}

}  // namespace mg
