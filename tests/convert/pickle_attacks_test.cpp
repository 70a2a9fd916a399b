// Pickles made to run code, to read outside a storage, or to take more time or memory than they have bytes.
#include <doctest/doctest.h>

#include <ctime>
#include <limits>
#include <vector>

#include "convert/pickle_writer.h"
#include "convert/read_error.h"
#include "convert/zip_writer.h"
#include "tools/convert/pickle.h"
#include "tools/convert/torch_file.h"

namespace mg {

using test::PickleWriter;

namespace {

// The pickle in an archive with storage 0 of four fp32.
StateDict read(const std::string& pickle) {
  return read_torch_file(test::zip(test::torch_entries(pickle)), "x.pth");
}

struct Attack {
  std::string name, pickle, message;
};

void check_refused(const std::vector<Attack>& attacks) {
  for (const Attack& attack : attacks) {
    CAPTURE(attack.name);
    CAPTURE(attack.message);
    const std::string message = test::read_error([&] { read(attack.pickle); });
    CAPTURE(message);
    CHECK(message.starts_with("x.pth: x/data.pkl: "));
    CHECK(message.find(attack.message) != std::string::npos);
  }
}

// A state dict of one tensor w.
std::string state(const PickleWriter& tensor) {
  return PickleWriter().op("}").text("w").op(tensor.end().substr(2, tensor.end().size() - 3)).op("s").end();
}

PickleWriter call(const std::string& module, const std::string& name) {
  return PickleWriter().global(module, name).op("(").text("touch /tmp/mg_was_here").op("tR");
}

}  // namespace

TEST_CASE("pickle: code is refused by name, by whatever opcode it comes") {
  check_refused({
      {"REDUCE of os.system", call("os", "system").end(), "byte 2: GLOBAL: global os.system not allowed"},
      {"posix.system", call("posix", "system").end(), "global posix.system not allowed"},
      {"builtins.eval", call("builtins", "eval").end(), "global builtins.eval not allowed"},
      {"builtins.getattr", call("builtins", "getattr").end(), "global builtins.getattr not allowed"},
      {"a name with a dot", call("torch", "serialization.os.system").end(),
       "torch.serialization.os.system not"},
      {"another module's OrderedDict", call("evil", "OrderedDict").end(),
       "global evil.OrderedDict not allowed"},
      {"argparse.Namespace", call("argparse", "Namespace").end(), "global argparse.Namespace not allowed"},
      {"numpy", call("numpy.core.multiarray", "scalar").end(), "global numpy.core.multiarray.scalar not"},
      {"a whole module", call("torchvision.models.video.resnet", "VideoResNet").end(),
       "VideoResNet not allowed"},
      {"torch.load", call("torch", "load").end(), "global torch.load not allowed"},
      {"STACK_GLOBAL", PickleWriter().text("os").text("system").op("\x93)R").end(),
       "STACK_GLOBAL: global os.system not allowed"},
      {"STACK_GLOBAL of a long name",
       PickleWriter().text(std::string(1000, 'a')).text("b").op("\x93)R").end(),
       "a name of more than 1000 bytes"},
      {"STACK_GLOBAL of no texts", PickleWriter().op("NN\x93").end(),
       "STACK_GLOBAL: expected the texts module"},
      {"INST", PickleWriter().op("(ios\nsystem\n").end(), "byte 3: INST: global os.system not allowed"},
      {"OBJ", PickleWriter().op("(").global("collections", "OrderedDict").op("o").end(),
       "OBJ 0x6f not allowed"},
      {"NEWOBJ", PickleWriter().global("collections", "OrderedDict").op(")\x81").end(), "NEWOBJ 0x81 not"},
      {"NEWOBJ_EX", PickleWriter().global("collections", "OrderedDict").op(")}\x92").end(),
       "NEWOBJ_EX 0x92 not"},
      {"EXT1", PickleWriter().op("\x82\x01").end(), "opcode EXT1 0x82 not allowed"},
      {"EXT2", PickleWriter().op("\x83\x01\x01").end(), "opcode EXT2 0x83 not allowed"},
      {"EXT4", PickleWriter().op("\x84\x01\x01\x01\x01").end(), "opcode EXT4 0x84 not allowed"},
      {"PERSID", PickleWriter().op("Pstorage\n").end(), "opcode PERSID 0x50 not allowed"},
      {"an opcode of no protocol", PickleWriter().op("\xff").end(), "byte 2: opcode 0xff not allowed"},
      {"BUILD of a tensor", PickleWriter().tensor({4}, {1}, 0, 4).op("}b").end(),
       "BUILD: expected the attributes"},
      {"BUILD by a tuple", PickleWriter().op("})b").end(),
       "BUILD: expected the attributes of a dict as a dict"},
      {"a call of a type", PickleWriter().global("torch", "FloatStorage").op(")R").end(),
       "REDUCE: torch.FloatStorage is not allowed to be called"},
      {"a call of a dict", PickleWriter().op("})R").end(),
       "REDUCE: expected a global to call, got a dict of 0"},
      {"a call without a tuple", PickleWriter().global("collections", "OrderedDict").op("}R").end(),
       "REDUCE: expected a tuple of arguments, got a dict of 0"},
      {"OrderedDict of a list", PickleWriter().global("collections", "OrderedDict").op("]\x85R").end(),
       "collections.OrderedDict: expected no argument, got 1"},
      {"a tensor of no storage",
       PickleWriter().global("torch._utils", "_rebuild_tensor_v2").op("(NNNNNNtR").end(),
       "_rebuild_tensor_v2: expected a storage, its offset, sizes"},
      {"a parameter of no tensor",
       PickleWriter().global("torch._utils", "_rebuild_parameter").op("(NNNtR").end(),
       "_rebuild_parameter: expected a tensor"},
  });
}

TEST_CASE("pickle: a machine that is not served right") {
  check_refused({
      {"nothing", "", "expected a pickle of protocol 2 to 5"},
      {"protocol 0", "(lp0\n.", "byte 0: expected a pickle of protocol 2 to 5"},
      {"protocol 1", "\x80\x01}.", "PROTO: expected a protocol of 2 to 5, got 1"},
      {"protocol 6", "\x80\x06}.", "PROTO: expected a protocol of 2 to 5, got 6"},
      {"a second PROTO", PickleWriter().op("\x80\x02}").end(), "PROTO: a second beginning"},
      {"no STOP", "\x80\x02}", "byte 3: expected 1 more bytes, but 0 are left"},
      {"a cut text", PickleWriter().op("X\xff\xff\xff\xffzz").end(),
       "BINUNICODE: expected 4294967295 more bytes"},
      {"a cut number", PickleWriter().op("J\x01").end(), "BININT: expected 4 more bytes, but 2 are left"},
      {"a cut frame", PickleWriter().op("\x95" + PickleWriter::little(1000, 8)).end(),
       "FRAME: expected 1000 more"},
      {"a global without an end", PickleWriter().op("cos").end(), "GLOBAL: expected a name and a line end"},
      {"an endless name", PickleWriter().op("c" + std::string(2000, 'a') + "\n\n").end(),
       "expected a name and a line"},
      {"bytes after the end", PickleWriter().op("}").end() + "cos\nsystem\n", "STOP: 11 bytes after the end"},
      {"two values", PickleWriter().op("}}").end(), "STOP: expected one value, got 2"},
      {"no value", PickleWriter().end(), "STOP: expected one value, got 0"},
      {"an open mark", PickleWriter().op("}(").end(), "STOP: expected one value, got 1"},
      {"an empty stack", PickleWriter().op("\x85").end(), "TUPLE1: expected 1 values on the stack, got 0"},
      {"values below a mark", PickleWriter().op("NN(\x86").end(),
       "TUPLE2: expected 2 values on the stack, got 0"},
      {"no mark", PickleWriter().op("]Ne").end(), "APPENDS: expected a mark on the stack"},
      {"no list", PickleWriter().op("(Ne").end(), "APPENDS: expected a list or dict below"},
      {"APPEND to a dict", PickleWriter().op("}Na").end(), "APPEND: expected a list, got a dict of 0"},
      {"SETITEM of a list", PickleWriter().op("]NNs").end(), "SETITEM: expected a dict, got a list of 0"},
      {"SETITEMS of three", PickleWriter().op("}(NNNu").end(), "SETITEMS: a key without a value"},
      {"a dict as a key", PickleWriter().op("}}Ns").end(), "SETITEM: a dict of 0 as a key"},
      {"ADDITEMS to a list", PickleWriter().op("](N\x90").end(), "ADDITEMS: expected a set below"},
      {"an empty memo", PickleWriter().op("h\x07").end(), "BINGET: nothing is remembered as 7"},
      {"BINPUT of nothing", PickleWriter().op("q").op(std::string(1, '\0')).end(),
       "BINPUT: expected 1 values"},
      {"BINPERSID of a text", PickleWriter().text("0").op("Q").end(), "BINPERSID: expected a storage as"},
      {"BINPERSID of a class", PickleWriter().op("(").text("module").op("NNNNtQ").end(),
       "BINPERSID: expected a storage"},
      {"a storage of a dtype",
       PickleWriter()
           .op("(")
           .text("storage")
           .global("torch", "float32")
           .text("0")
           .text("cpu")
           .number(4)
           .op("tQ")
           .end(),
       "BINPERSID: expected a storage as"},
      {"a storage type not known", PickleWriter().storage("ComplexFloat", "0", 4).end(),
       "global torch.ComplexFloatStorage not allowed"},
  });
}

TEST_CASE("pickle: tensors that reach outside their storage, or make much of little") {
  constexpr std::int64_t kHuge = std::int64_t{1} << 62;
  const auto tensor = [](std::vector<std::int64_t> sizes, std::vector<std::int64_t> strides,
                         std::int64_t offset, std::int64_t elements = 4) {
    return state(PickleWriter().tensor(sizes, strides, offset, elements));
  };
  PickleWriter overlapping;
  overlapping.op("}");
  for (int i = 0; i < 40; ++i) overlapping.text("w" + std::to_string(i)).tensor({3}, {1}, i % 2, 4).op("s");
  PickleWriter repeated;
  repeated.op("}");
  for (int i = 0; i < 16; ++i) {
    if (i / 4 + i % 4 <= 3)
      repeated.text("w" + std::to_string(i)).tensor({2, 2}, {i / 4, i % 4}, 0, 4).op("s");
  }
  check_refused({
      {"a storage that is not there", state(PickleWriter().tensor({4}, {1}, 0, 4, "Float", "7")),
       "w: its storage '7' is not in the file"},
      {"a storage outside", state(PickleWriter().tensor({4}, {1}, 0, 4, "Float", "../version")),
       "w: its storage '../version' is not in the file"},
      {"too many elements", tensor({5}, {1}, 0, 5),
       "w: expected 5 elements of F32 in its storage '0', but that has 16"},
      {"a negative storage", tensor({0}, {1}, 0, -4), "w: expected -4 elements of F32"},
      {"a storage that overflows", tensor({4}, {1}, 0, kHuge + 4),
       "w: expected 4611686018427387908 elements"},
      {"an offset", tensor({4}, {1}, 1),
       "w: offset 1, sizes [4] and strides [1] reach outside its storage '0' of 4"},
      {"a negative offset", tensor({1}, {1}, -1), "offset -1, sizes [1]"},
      {"an offset of nothing", tensor({0}, {1}, 5), "w: offset 5, sizes [0] and strides [1] reach outside"},
      {"a stride", tensor({2, 2}, {3, 1}, 0), "w: offset 0, sizes [2, 2] and strides [3, 1] reach outside"},
      {"a negative stride", tensor({2}, {-1}, 3), "strides [-1] reach outside"},
      {"a negative size", tensor({-1}, {1}, 0), "sizes [-1] and strides [1] reach outside"},
      {"two negative sizes", tensor({-2, -2}, {1, 1}, 0), "sizes [-2, -2] and strides [1, 1] reach outside"},
      {"a count that overflows", tensor({kHuge, kHuge, 0}, {0, 0, 0}, 0), "reach outside"},
      {"an end that overflows", tensor({3}, {kHuge}, 0), "reach outside"},
      {"an end that overflows to 2", tensor({5, 2}, {kHuge, 2}, 0), "reach outside"},
      {"an offset that overflows", tensor({2}, {1}, (kHuge - 1) * 2 + 1), "reach outside"},
      {"a stride of zero", tensor({1000000, 1000000}, {0, 0}, 0),
       "w: 1000000000000 elements from a storage '0' of 4: an"},
      {"five of four", tensor({5}, {0}, 0), "w: 5 elements from a storage '0' of 4: an expanded tensor"},
      {"six dimensions", tensor({1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1}, 0),
       "w: expected at most 5 dimensions (kMaxRank in kernels/view.h), got 6"},
      {"sizes without strides", tensor({2, 2}, {1}, 0), "w: 2 sizes, but 1 strides"},
      {"a storage of two types",
       PickleWriter()
           .op("}")
           .text("a")
           .tensor({4}, {1}, 0, 4)
           .op("s")
           .text("b")
           .tensor({4}, {1}, 0, 4, "Int")
           .op("s")
           .end(),
       "b: its storage '0' is I32, but another tensor's F32"},
      {"views again and again", repeated.end(),
       "w9: the views of its storage '0' repeat its elements more than 8"},
  });
  // The step of a dimension of one is never taken.
  CHECK(read(tensor({1, 2}, {std::numeric_limits<std::int64_t>::max(), 2}, 0)).tensors.at("w").shape() ==
        Shape{1, 2});
  CHECK(read(overlapping.end()).tensors.size() == 40);  // of two views, so of 6 elements
}

TEST_CASE("pickle: which dict is the state dict") {
  const auto with = [](const char* key) {
    return PickleWriter().op("}").text(key).tensor({4}, {1}, 0, 4).op("s");
  };
  const std::string inner = with("w").end().substr(2, with("w").end().size() - 3);
  check_refused({
      {"a tensor alone", PickleWriter().tensor({4}, {1}, 0, 4).end(),
       "expected a dict of tensors, got a tensor"},
      {"a list", PickleWriter().op("]").end(), "expected a dict of tensors, got a list of 0"},
      {"an empty dict", PickleWriter().op("}").end(),
       "no tensors: expected a state dict, or one as state_dict, model"},
      {"two", PickleWriter().op("}").text("model").op(inner).op("s").text("net").op(inner).op("s").end(),
       "expected one state dict, got model, net: which one is meant?"},
      {"another name", PickleWriter().op("}").text("generator").op(inner).op("s").end(),
       "dicts of tensors: generator"},
      {"a number as a name", PickleWriter().op("}").number(3).tensor({4}, {1}, 0, 4).op("s").end(),
       "expected a tensor's name, got an int as its key"},
      {"a name twice", with("w").text("w").tensor({4}, {1}, 0, 4).op("s").end(),
       "the key 'w' is there twice"},
      {"a name that is no text", with("a\xff").end(), "a name that is not UTF-8"},
      {"a long name", with(std::string(2000, 'a').c_str()).end(), "a name of 2000 bytes, more than 1000"},
      {"a lone surrogate", with("\xed\xa0\x80").end(), "a name that is not UTF-8"},
  });
  const StateDict chosen = read(PickleWriter()
                                    .op("}")
                                    .text("model")
                                    .op(inner)
                                    .op("s")
                                    .text("other")
                                    .op(inner)
                                    .op("s")
                                    .number(5)
                                    .op("Ns")
                                    .end());
  CHECK(chosen.tensors.size() == 1);
  CHECK(chosen.left_out == std::vector<std::string>{"other: a dict of 1", "5: None"});
}

TEST_CASE("pickle: bombs cost neither time nor memory") {
  const std::clock_t start = std::clock();
  const std::string tensor = PickleWriter().text("w").tensor({4}, {1}, 0, 4).end();
  const std::string entry = tensor.substr(2, tensor.size() - 3);
  // A pair of twice the pair before, a hundred deep: 2^100 values for those who follow them.
  PickleWriter doubling;
  doubling.op("}" + entry + "s").text("bomb").op("]q\x01").repeat("h\x01\x86q\x01", 100);
  CHECK(read(doubling.op("s").end()).left_out == std::vector<std::string>{"bomb: a tuple of 2"});
  // A list in itself, and a dict in itself.
  CHECK(read(PickleWriter()
                 .op("}" + entry + "s")
                 .text("loop")
                 .op("]q\x01h\x01"
                     "as")
                 .end())
            .left_out == std::vector<std::string>{"loop: a list of 1"});
  CHECK(read(PickleWriter().op("}q\x01" + entry + "s").text("model").op("h\x01s").end()).tensors.size() == 1);
  // A dict of 200,000 numbers, 200,000 times where a state dict could be.
  PickleWriter dicts;
  dicts.op("}" + entry + "s(").text("dict").op("}q\x01(").repeat("K\x01N", 200'000).op("u");
  CHECK(read(dicts.repeat("K\x02h\x01", 200'000).op("u").end()).left_out.size() == 200'001);
  // One long list, and ten thousand sets of it.
  PickleWriter sets;
  sets.op("}" + entry + "s").text("list").op("]q\x01(").repeat("N", 100'000).op("es");
  for (int i = 0; i < 10'000; ++i) sets.number(i).global("builtins", "set").op("h\x01\x85Rs");
  CHECK(read(sets.end()).left_out.size() == 10'001);
  check_refused({
      {"values", PickleWriter().repeat("]", kMaxPickleStack).op("(").repeat("]", 10).end(),
       "the stack is deeper than"},
      {"marks", PickleWriter().repeat("(", kMaxPickleStack + 1).end(), "MARK: more than 1000000 marks"},
      {"a memo", PickleWriter().op("}").repeat("\x94", kMaxPickleValues + 1).end(),
       "MEMOIZE: more than 4000000 values"},
      {"lists in a list", PickleWriter().op("]").repeat("]a", kMaxPickleValues).end(),
       "EMPTY_LIST: more than 4000000"},
      {"depth", PickleWriter().repeat("]q\x01", kMaxPickleStack + 1).end(),
       "the stack is deeper than 1000000"},
  });
  const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  CHECK(seconds < 10);
}

}  // namespace mg
