#include "tools/convert/pickle.h"

#include <array>
#include <cstring>
#include <unordered_map>

#include "engine/error.h"
#include "tools/convert/pickle_globals.h"

namespace mg {

namespace {

using Kind = PickleKind;
using Value = PickleValue;

constexpr std::size_t kLongestName = 1000;  // of a global

struct Opcode;

// Runs one pickle. Offsets in messages are those of the opcode at work.
class Machine {
 public:
  Machine(std::string_view bytes, const std::string& where, std::deque<Value>& values)
      : bytes_(bytes), where_(where), values_(values) {}

  const Value* run();

  void protocol();
  void frame();
  void mark();
  void none() { push(make(Kind::none)); }
  template <bool kValue>
  void boolean() {
    make(Kind::boolean).integer = kValue;
    push(values_.back());
  }
  template <class Int>
  void integer() {
    make(Kind::integer).integer = number<Int>();
    push(values_.back());
  }
  void long_integer();
  void real() {
    take(8);
    push(make(Kind::real));
  }
  template <class Length>
  void text() {
    make(Kind::text).text = take(number<Length>());
    push(values_.back());
  }
  template <class Length>
  void skip_bytes() {
    take(number<Length>());
    push_opaque("bytes");
  }
  template <std::size_t kCount>
  void tuple() {
    push_items(Kind::tuple, stack_.size() - need(kCount));
  }
  void marked_tuple() { push_items(Kind::tuple, pop_mark()); }
  template <Kind kKind>
  void empty() {
    push(make(kKind));
  }
  void append() { extend(Kind::list, stack_.size() - need(1)); }
  void marked_append() { extend(Kind::list, pop_mark()); }
  void set_item() { extend(Kind::dict, stack_.size() - need(2)); }
  void set_items() { extend(Kind::dict, pop_mark()); }
  void empty_set() { push_opaque("a set"); }
  void add_items();
  void frozen_set();
  template <class Index>
  void put() {
    remember(number<Index>());
  }
  void memoize() { remember(memo_.size()); }
  template <class Index>
  void get();
  void global();
  void stack_global();
  void refused_instance();
  void reduce();
  void build();
  void persistent_id();

 private:
  template <class... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const;
  [[noreturn]] void refuse_opcode(unsigned char code) const;
  std::string_view take(std::uint64_t count);
  std::string_view line();
  template <class Number>
  Number number() {
    Number value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  Value& make(Kind kind);
  void push(const Value& value);
  void push_opaque(const char* what) {
    make(Kind::opaque).text = what;
    push(values_.back());
  }
  std::size_t need(std::size_t count) const;
  const Value* pop();
  std::size_t pop_mark();
  void push_items(Kind kind, std::size_t from);
  void extend(Kind kind, std::size_t from);
  void remember(std::uint64_t index);
  void push_global(std::string_view module, std::string_view name);

  std::string_view bytes_;
  const std::string& where_;
  std::deque<Value>& values_;
  std::vector<const Value*> stack_;
  std::vector<std::size_t> marks_;  // sizes of the stack
  std::unordered_map<std::uint64_t, const Value*> memo_;
  std::size_t at_ = 0, opcode_at_ = 0;
  const Opcode* opcode_ = nullptr;
};

struct Opcode {
  unsigned char code;
  const char* name;
  void (Machine::*run)();  // null: STOP
};

// All that torch.save writes in protocols 2 to 5 around what a state dict holds.
constexpr std::array kOpcodes{
    Opcode{0x80, "PROTO", &Machine::protocol},
    Opcode{0x95, "FRAME", &Machine::frame},
    Opcode{'.', "STOP", nullptr},
    Opcode{'(', "MARK", &Machine::mark},
    Opcode{'N', "NONE", &Machine::none},
    Opcode{0x88, "NEWTRUE", &Machine::boolean<true>},
    Opcode{0x89, "NEWFALSE", &Machine::boolean<false>},
    Opcode{'K', "BININT1", &Machine::integer<std::uint8_t>},
    Opcode{'M', "BININT2", &Machine::integer<std::uint16_t>},
    Opcode{'J', "BININT", &Machine::integer<std::int32_t>},
    Opcode{0x8a, "LONG1", &Machine::long_integer},
    Opcode{'G', "BINFLOAT", &Machine::real},
    Opcode{0x8c, "SHORT_BINUNICODE", &Machine::text<std::uint8_t>},
    Opcode{'X', "BINUNICODE", &Machine::text<std::uint32_t>},
    Opcode{'C', "SHORT_BINBYTES", &Machine::skip_bytes<std::uint8_t>},
    Opcode{'B', "BINBYTES", &Machine::skip_bytes<std::uint32_t>},
    Opcode{')', "EMPTY_TUPLE", &Machine::empty<Kind::tuple>},
    Opcode{0x85, "TUPLE1", &Machine::tuple<1>},
    Opcode{0x86, "TUPLE2", &Machine::tuple<2>},
    Opcode{0x87, "TUPLE3", &Machine::tuple<3>},
    Opcode{'t', "TUPLE", &Machine::marked_tuple},
    Opcode{']', "EMPTY_LIST", &Machine::empty<Kind::list>},
    Opcode{'a', "APPEND", &Machine::append},
    Opcode{'e', "APPENDS", &Machine::marked_append},
    Opcode{'}', "EMPTY_DICT", &Machine::empty<Kind::dict>},
    Opcode{'s', "SETITEM", &Machine::set_item},
    Opcode{'u', "SETITEMS", &Machine::set_items},
    Opcode{0x8f, "EMPTY_SET", &Machine::empty_set},
    Opcode{0x90, "ADDITEMS", &Machine::add_items},
    Opcode{0x91, "FROZENSET", &Machine::frozen_set},
    Opcode{'q', "BINPUT", &Machine::put<std::uint8_t>},
    Opcode{'r', "LONG_BINPUT", &Machine::put<std::uint32_t>},
    Opcode{0x94, "MEMOIZE", &Machine::memoize},
    Opcode{'h', "BINGET", &Machine::get<std::uint8_t>},
    Opcode{'j', "LONG_BINGET", &Machine::get<std::uint32_t>},
    Opcode{'c', "GLOBAL", &Machine::global},
    Opcode{0x93, "STACK_GLOBAL", &Machine::stack_global},
    Opcode{'R', "REDUCE", &Machine::reduce},
    Opcode{'b', "BUILD", &Machine::build},
    Opcode{'Q', "BINPERSID", &Machine::persistent_id},
    // Refused, but with the name that it carries.
    Opcode{'i', "INST", &Machine::refused_instance},
};

constexpr auto kOpcodeOf = [] {
  std::array<const Opcode*, 256> table{};
  for (const Opcode& opcode : kOpcodes) table[opcode.code] = &opcode;
  return table;
}();

// Those that make objects or calls in other ways, by name for the message.
struct RefusedOpcode {
  unsigned char code;
  const char* name;
};
constexpr std::array kRefusedOpcodes{RefusedOpcode{'o', "OBJ"},        RefusedOpcode{0x81, "NEWOBJ"},
                                     RefusedOpcode{0x92, "NEWOBJ_EX"}, RefusedOpcode{'P', "PERSID"},
                                     RefusedOpcode{0x82, "EXT1"},      RefusedOpcode{0x83, "EXT2"},
                                     RefusedOpcode{0x84, "EXT4"},      RefusedOpcode{'2', "DUP"},
                                     RefusedOpcode{'0', "POP"},        RefusedOpcode{'1', "POP_MARK"}};

template <class... Args>
void Machine::fail(fmt::format_string<Args...> format, Args&&... args) const {
  throw Error(ExitCode::checkpoint, "{}: byte {}: {}{}", where_, opcode_at_,
              opcode_ != nullptr ? std::string(opcode_->name) + ": " : "",
              fmt::format(format, std::forward<Args>(args)...));
}

void Machine::refuse_opcode(unsigned char code) const {
  const char* name = "";
  for (const RefusedOpcode& refused : kRefusedOpcodes) {
    if (refused.code == code) name = refused.name;
  }
  fail("opcode {}{}0x{:02x} not allowed: a state dict does not need it", name, *name != 0 ? " " : "", code);
}

const Value* Machine::run() {
  if (bytes_.size() > kMaxPickle) fail("{} bytes are above the limit of {}", bytes_.size(), kMaxPickle);
  if (bytes_.empty() || static_cast<unsigned char>(bytes_[0]) != 0x80) {
    fail("expected a pickle of protocol 2 to 5, which begins with PROTO");
  }
  while (true) {
    opcode_ = nullptr;
    opcode_at_ = at_;
    const auto code = number<unsigned char>();
    opcode_ = kOpcodeOf[code];
    if (opcode_ == nullptr) refuse_opcode(code);
    if (opcode_->run == nullptr) break;
    (this->*opcode_->run)();
  }
  if (at_ != bytes_.size()) fail("{} bytes after the end", bytes_.size() - at_);
  if (stack_.size() != 1 || !marks_.empty()) fail("expected one value, got {}", stack_.size());
  return stack_[0];
}

std::string_view Machine::take(std::uint64_t count) {
  if (count > bytes_.size() - at_) {
    fail("expected {} more bytes, but {} are left: the pickle is cut off", count, bytes_.size() - at_);
  }
  const std::string_view taken = bytes_.substr(at_, count);
  at_ += count;
  return taken;
}

std::string_view Machine::line() {
  const std::size_t end = bytes_.substr(at_, kLongestName).find('\n');
  if (end == std::string_view::npos) fail("expected a name and a line end");
  const std::string_view taken = take(end);
  take(1);
  return taken;
}

Value& Machine::make(Kind kind) {
  if (values_.size() >= kMaxPickleValues) fail("more than {} values", kMaxPickleValues);
  values_.emplace_back().kind = kind;
  return values_.back();
}

void Machine::push(const Value& value) {
  if (stack_.size() >= kMaxPickleStack) fail("the stack is deeper than {} values", kMaxPickleStack);
  stack_.push_back(&value);
}

// count, if so many values lie above the last mark.
std::size_t Machine::need(std::size_t count) const {
  const std::size_t base = marks_.empty() ? 0 : marks_.back();
  if (stack_.size() - base < count) {
    fail("expected {} values on the stack, got {}", count, stack_.size() - base);
  }
  return count;
}

const Value* Machine::pop() {
  need(1);
  const Value* value = stack_.back();
  stack_.pop_back();
  return value;
}

std::size_t Machine::pop_mark() {
  if (marks_.empty()) fail("expected a mark on the stack");
  const std::size_t mark = marks_.back();
  marks_.pop_back();
  return mark;
}

void Machine::push_items(Kind kind, std::size_t from) {
  Value& value = make(kind);
  value.items.assign(stack_.begin() + static_cast<std::ptrdiff_t>(from), stack_.end());
  stack_.resize(from);
  push(value);
}

// Moves what lies above from into the list or dict below it.
void Machine::extend(Kind kind, std::size_t from) {
  const std::size_t base = marks_.empty() ? 0 : marks_.back();
  if (from <= base) fail("expected a list or dict below the values");
  // Values are const to all but the machine that makes them.
  auto& container = const_cast<Value&>(*stack_[from - 1]);
  if (container.kind != kind) {
    fail("expected a {}, got {}", kind == Kind::list ? "list" : "dict", describe(container));
  }
  if (kind == Kind::dict && (stack_.size() - from) % 2 != 0) fail("a key without a value");
  for (std::size_t i = from; kind == Kind::dict && i < stack_.size(); i += 2) {
    const Kind key = stack_[i]->kind;
    if (key == Kind::dict || key == Kind::list) fail("{} as a key", describe(*stack_[i]));
  }
  container.items.insert(container.items.end(), stack_.begin() + static_cast<std::ptrdiff_t>(from),
                         stack_.end());
  stack_.resize(from);
}

void Machine::protocol() {
  const auto version = number<std::uint8_t>();
  if (version < 2 || version > 5) fail("expected a protocol of 2 to 5, got {}", version);
  if (opcode_at_ != 0) fail("a second beginning");
}

void Machine::frame() {
  const auto length = number<std::uint64_t>();
  if (length > bytes_.size() - at_) {
    fail("expected {} more bytes, but {} are left: the pickle is cut off", length, bytes_.size() - at_);
  }
}

void Machine::mark() {
  if (marks_.size() >= kMaxPickleStack) fail("more than {} marks", kMaxPickleStack);
  marks_.push_back(stack_.size());
}

void Machine::long_integer() {
  const std::string_view digits = take(number<std::uint8_t>());
  Value& value = make(digits.size() > 8 ? Kind::big_integer : Kind::integer);
  if (!digits.empty() && digits.size() <= 8) {
    const bool negative = (digits.back() & 0x80) != 0;
    std::uint64_t bits = negative ? ~std::uint64_t{0} : 0;
    std::memcpy(&bits, digits.data(), digits.size());
    value.integer = static_cast<std::int64_t>(bits);
  }
  push(value);
}

void Machine::add_items() {
  const std::size_t from = pop_mark(), base = marks_.empty() ? 0 : marks_.back();
  if (from <= base || stack_[from - 1]->kind != Kind::opaque) fail("expected a set below the values");
  stack_.resize(from);
}

void Machine::frozen_set() {
  stack_.resize(pop_mark());
  push_opaque("a set");
}

void Machine::remember(std::uint64_t index) {
  need(1);
  if (memo_.size() >= kMaxPickleValues) fail("more than {} values to remember", kMaxPickleValues);
  memo_[index] = stack_.back();
}

template <class Index>
void Machine::get() {
  const auto index = number<Index>();
  const auto found = memo_.find(index);
  if (found == memo_.end()) fail("nothing is remembered as {}", index);
  push(*found->second);
}

void Machine::push_global(std::string_view module, std::string_view name) {
  const PickleGlobal* global = find_pickle_global(module, name);
  if (global == nullptr) {
    fail(
        "global {}.{} not allowed: a state dict does not need it, and nothing of it was run. Load the file "
        "where you trust it and save again: torch.save(model.state_dict(), ...)",
        module, name);
  }
  make(Kind::global).global = global;
  push(values_.back());
}

void Machine::global() {
  const std::string_view module = line(), name = line();
  push_global(module, name);
}

void Machine::stack_global() {
  need(2);
  const Value *name = pop(), *module = pop();
  if (module->kind != Kind::text || name->kind != Kind::text) {
    fail("expected the texts module and name, got {} and {}", describe(*module), describe(*name));
  }
  if (module->text.size() + name->text.size() > kLongestName)
    fail("a name of more than {} bytes", kLongestName);
  push_global(module->text, name->text);
}

void Machine::refused_instance() {
  const std::string_view module = line(), name = line();
  fail("global {}.{} not allowed: a state dict makes no instances", module, name);
}

void Machine::reduce() {
  need(2);
  const Value *arguments = pop(), *callee = pop();
  if (callee->kind != Kind::global) fail("expected a global to call, got {}", describe(*callee));
  const PickleGlobal& global = *callee->global;
  if (global.call == nullptr) fail("{}.{} is not allowed to be called", global.module, global.name);
  if (arguments->kind != Kind::tuple) fail("expected a tuple of arguments, got {}", describe(*arguments));
  Value& result = make(Kind::opaque);
  if (const char* expected = global.call(arguments->items, result)) {
    fail("{}.{}: expected {}, got {} argument{}", global.module, global.name, expected,
         arguments->items.size(), arguments->items.size() == 1 ? "" : "s of other types");
  }
  push(result);
}

// Attributes of an object. A state dict has them: _metadata, the versions of its modules, which nothing
// needs.
void Machine::build() {
  need(2);
  const Value *state = pop(), *object = stack_.back();
  if (object->kind != Kind::dict || state->kind != Kind::dict) {
    fail("expected the attributes of a dict as a dict, got {} for {}", describe(*state), describe(*object));
  }
}

void Machine::persistent_id() {
  const Value* id = pop();
  const auto& items = id->items;
  const bool valid = id->kind == Kind::tuple && items.size() == 5 && items[0]->kind == Kind::text &&
                     items[0]->text == "storage" && items[1]->kind == Kind::global &&
                     items[1]->global->stored_type != nullptr && items[2]->kind == Kind::text &&
                     items[3]->kind == Kind::text && items[4]->kind == Kind::integer;
  if (!valid) {
    fail("expected a storage as ('storage', type, key, device, count), got {}", describe(*id));
  }
  Value& storage = make(Kind::storage);
  storage.items = items;
  push(storage);
}

}  // namespace

Pickle::Pickle(std::string_view bytes, const std::string& where) {
  root_ = Machine(bytes, where, values_).run();
}

}  // namespace mg
