// The emulator: runs the threads of a CUDA kernel on a CPU, one fiber each, and watches every access to memory.
//
// Scheduling. A block's fibers run one after the other, in an order that the caller chooses; a fiber runs until it waits
// for others (a barrier, a warp operation) or ends. What a GPU would do at once thus happens in some order, and the order
// is an argument.
//
// Watching. The kernel is compiled with -fsanitize=thread, which makes the compiler call a hook before every access to
// memory. The hooks are defined here: they know every array that the kernel was given, the block's shared memory and the
// fiber's own stack, and stop the kernel at an access outside of them, at a read of what nobody wrote, at a misaligned
// access, and at a race: two accesses to one place by two threads, at least one of them a write, without a barrier between
// them. So a race is found whichever way it went in this run.
//
// x86-64 alone: switching fibers is written in assembly, since the operating system's own way is 15 times slower.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <link.h>
#include <sys/mman.h>

struct uint3 { unsigned x, y, z; };
extern "C" {
struct MinitlPlace { uint3 thread, block, block_size, grid_size; } minitl_place;

// What a launch is given and what it gives back; mirrored in emulator/library.py.
struct Array {
    char* begin;
    char* end;
    unsigned char* written;  // one byte a cell, kept from launch to launch; null: all of it holds data already
    int cell;                // bytes that are watched as one
    int writable;
};
struct Fault {
    char kind[24];
    char what[256];
    void* pc;  // of the access, for its line in the source; null where `line` tells it
    void* other_pc;  // where the other thread was; null where nobody knows
    int line;
    int array;  // index of the array touched; -1 shared memory, -2 none of them
    char shared[64];  // the name of the shared array, where it is known
    long long shared_bytes;
    long long offset;  // in it; out of bounds of all of them: the address
    uint3 thread, block, other;  // `other`: the thread raced with
};
struct Launch {
    unsigned grid[3], block[3];
    unsigned long long dynamic_bytes;
    unsigned long long schedule;  // 0 forward, 1 reverse, otherwise the seed of a shuffle
    unsigned long long most_steps;
    int array_count;
    Array* arrays;
    char* arguments;  // where the arguments themselves lie
    unsigned long long argument_bytes;
    Fault fault;
};
void minitl_switch(void** from, void* to);
extern char __ehdr_start[] __attribute__((visibility("hidden"))), _end[] __attribute__((visibility("hidden")));
// Where `extern __shared__` arrays begin: generated for a kernel file that has one (library.py).
char* minitl_extern_shared() __attribute__((weak, visibility("hidden")));
}

// Saves the registers that a called function must keep, and the rounding modes, and goes on with another stack.
asm(R"(
.text
.globl minitl_switch
.hidden minitl_switch
.type minitl_switch, @function
minitl_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    subq $8, %rsp
    stmxcsr (%rsp)
    fnstcw 4(%rsp)
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    ldmxcsr (%rsp)
    fldcw 4(%rsp)
    addq $8, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
)");

namespace {

const unsigned MOST_THREADS = 1024, WARP = 32, MOST_WARPS = MOST_THREADS / WARP;
const size_t STACK = 640 * 1024;       // of a fiber: a GPU's 512 KB and some; pages never touched take no memory
const size_t STACK_GUARD = 64 * 1024;  // at its low end: nobody's
const int LINE = 0xFFFFF;               // a barrier's place: its line, and above it a number of its own
const size_t SHARED_BYTES = 228 << 10;  // the most that any GPU has
const int MOST_ARRAYS = 256;
const size_t GAP = 64;                 // between shared arrays, so that one's end is not another's beginning

enum State { READY, AT_BARRIER, AT_WARP, ENDED };

struct Copy { char* to; const char* from; int bytes, valid, group; void* pc; };

struct Fiber {
    void* stack_pointer;
    State state;
    int line;         // of the barrier or warp operation that it waits at
    void* pc;         // the same, as an address
    unsigned mask;    // of the warp operation
    bool orders;      // whether that orders memory
    int predicate;    // brought to a barrier or a ballot
    uint3 index;
    unsigned known[WARP];  // of each lane: how many warp barriers it had passed when this one last heard of it
    Copy* copies;     // asynchronous ones under way
    int copy_count, copy_room, group;
};

// Who touched a cell. Times are counted in intervals between barriers, and in a thread's warp barriers within them.
// at: where in the code, from the beginning of this library.
struct Touch { unsigned interval, step : 20, thread : 10, how : 2, at; };
// The last write; the last read, the last by another thread of that warp, and by another warp; and when another block last
// read, and wrote by an atomic, before this one did.
struct Cell { Touch write, read, warp_read, other_read; unsigned foreign_read, foreign_write; };

// How memory is touched; of a cell's last write it is kept. An asynchronous copy writes when it begins, since it may land
// at once, and again when it is waited for: in between nobody may touch the place.
enum How { PLAIN, ATOMIC, BEGIN_COPY, END_COPY };

Fiber fibers[MOST_THREADS];
char *stacks, *stack_floor;  // of all fibers; and the lowest place of the current one's that it may use
const char TOO_DEEP[] = "local arrays and calls need more than the 512 KB that a GPU gives a thread";
Fiber* current;
unsigned thread_count;
void *scheduler, *outside, *paused;  // stacks: that of the loop over blocks, the caller's, and what a pause left
enum Outcome { DONE, FAULT, NO_MEMORY, PAUSED };
Outcome outcome;
void (*body)(void**);
void** body_arguments;
Launch* launch;
bool failed;
unsigned interval, first_interval;  // now, and that with which this block began
unsigned long long steps;
volatile unsigned long long step_limit;  // the most that a launch may take; 0 when it is asked to pause
unsigned barrier_total;

char* shared_memory;
Cell* shared_cells;  // one a byte
size_t shared_used;
struct Site { const void* site; char* at; size_t bytes; const char* name; } sites[256];
int site_count;
char* dynamic_memory;
// __shared__ arrays are thread-local variables of this library: the threads of a block all run in one of the process's.
thread_local char static_anchor;
char* static_memory;
size_t static_bytes;
Cell* static_cells;  // one a byte
Cell* array_cells[MOST_ARRAYS];
unsigned long long exchange[MOST_THREADS][8];  // what threads of a warp show each other

unsigned index_of(const Fiber* f) { return (unsigned)(f - fibers); }
unsigned warp_of(unsigned thread) { return thread / WARP; }
char* stack_of(const Fiber* f) { return stacks + index_of(f) * STACK; }

const Site* touched;  // the shared array under watch

void wait(State state, int line, void* pc) {
    Fiber* f = current;
    f->state = state;
    f->line = line;
    f->pc = pc;
    minitl_switch(&f->stack_pointer, scheduler);
}

// Stops the kernel: control never comes back to this fiber.
[[noreturn]] void fail(const char* kind, const char* what, void* pc, int line, int array, long long offset, int other) {
    Fault& fault = launch->fault;
    snprintf(fault.kind, sizeof fault.kind, "%s", kind);
    snprintf(fault.what, sizeof fault.what, "%s", what);
    fault.pc = pc;
    fault.line = line & LINE;
    fault.array = array;
    fault.offset = offset;
    snprintf(fault.shared, sizeof fault.shared, "%s", touched ? touched->name : "");
    fault.shared_bytes = touched ? (long long)touched->bytes : 0;
    fault.thread = minitl_place.thread;
    fault.block = minitl_place.block;
    if (other >= 0) fault.other = fibers[other].index;
    failed = true;
    void* nowhere;
    minitl_switch(&nowhere, scheduler);
    abort();
}

}  // namespace
#include "rescue.h"
namespace {

// ---- Watching memory --------------------------------------------------------------------------------------------------

// Whether an earlier touch by another thread is ordered before the current thread's: by a barrier of their block, or by
// an operation of their warp. Blocks are never ordered.
bool ordered(const Touch& before, unsigned me, bool shared) {
    if (before.interval == 0 || (shared && before.interval < first_interval)) return true;  // untouched, or another block's
    if (before.interval < first_interval) return false;
    if (before.thread == me || before.interval < interval) return true;
    return warp_of(before.thread) == warp_of(me) && before.step < current->known[before.thread % WARP];
}

void race(const char* what, const Touch& before, void* pc, int array, long long offset) {
    bool this_block = before.interval >= first_interval;
    launch->fault.other_pc = before.at ? __ehdr_start + before.at : nullptr;
    char text[256];
    snprintf(text, sizeof text, "%s, with no barrier between them%s", what,
             this_block ? "" : "; they are of different blocks, which nothing orders");
    fail("race", text, pc, 0, array, offset, this_block ? before.thread : -1);
}

void touch(Cell& cell, bool writes, How how, void* pc, int array, long long offset) {
    unsigned me = index_of(current);
    bool shared = array == -1;
    if (cell.write.how == BEGIN_COPY && how != END_COPY && cell.write.interval >= first_interval) {
        launch->fault.other_pc = __ehdr_start + cell.write.at;
        fail("race", "touches what an asynchronous copy is still to write, with no wait for it before", pc, 0, array, offset,
             cell.write.thread);
    }
    if (!ordered(cell.write, me, shared) && !(how == ATOMIC && cell.write.how == ATOMIC))
        race(writes ? "two threads write to one place" : "a thread reads what another writes", cell.write, pc, array, offset);
    bool atomic = how == ATOMIC;
    Touch now = {interval, current->known[me % WARP], me, (unsigned)how, (unsigned)((char*)pc - __ehdr_start)};
    if (!shared && !atomic && cell.foreign_write && cell.foreign_write < first_interval)
        race(writes ? "two threads write to one place" : "a thread reads what another writes", {cell.foreign_write, 0, 0, 0, 0},
             pc, array, offset);
    if (writes) {
        if (!shared && cell.foreign_read && cell.foreign_read < first_interval)
            race("a thread writes what another reads", {cell.foreign_read, 0, 0, 0, 0}, pc, array, offset);
        const Touch* reads[] = {&cell.read, &cell.warp_read, &cell.other_read};
        for (const Touch* read : reads)
            if (!ordered(*read, me, shared)) race("a thread writes what another reads", *read, pc, array, offset);
        if (cell.write.interval < first_interval) cell.foreign_write = cell.write.interval;
        cell.write = now;
    } else {
        if (cell.read.interval < first_interval) {
            if (cell.read.interval) cell.foreign_read = cell.read.interval;
        } else if (cell.read.thread != me) {
            (warp_of(cell.read.thread) == warp_of(me) ? cell.warp_read : cell.other_read) = cell.read;
        }
        cell.read = now;
    }
}

// Counts what a kernel does; now and then lets the caller have a look round.
void count_step(void* pc) {
    if ((char*)__builtin_frame_address(0) < stack_floor && in_fiber) fail("stack overflow", TOO_DEEP, pc, 0, -2, 0, -1);
    if (++steps <= step_limit || !in_fiber) return;
    if (steps > launch->most_steps) fail("hang", "more steps than a kernel can need", pc, 0, -2, 0, -1);
    step_limit = launch->most_steps;
    outcome = PAUSED, in_fiber = false;
    minitl_switch(&paused, outside);
    in_fiber = true;
}

void watch_shared(Cell& cell, bool writes, How how, void* pc, long long offset) {
    if (!writes && cell.write.interval < first_interval)
        fail("uninitialised", "reads shared memory that no thread of this block wrote", pc, 0, -1, offset, -1);
    touch(cell, writes, how, pc, -1, offset);
}

// Finds this library's thread-local variables in the thread that runs.
void find_static() {
    static_memory = nullptr, static_bytes = 0;
    *(volatile char*)&static_anchor = 0;  // only now are they sure to be there
    dl_iterate_phdr(
        [](dl_phdr_info* info, size_t, void*) {
            for (int i = 0; i < info->dlpi_phnum; i++) {
                char* at = (char*)info->dlpi_tls_data;
                if (info->dlpi_phdr[i].p_type != PT_TLS || !at) continue;
                if ((size_t)(&static_anchor - at) >= info->dlpi_phdr[i].p_memsz) continue;
                static_memory = at, static_bytes = info->dlpi_phdr[i].p_memsz;
                return 1;
            }
            return 0;
        },
        nullptr);
}

// `whole`: an access by bytes, however many, that needs no alignment.
void access(const void* at, size_t bytes, bool writes, How how, void* pc, bool whole = false) {
    const char* address = (const char*)at;
    if ((size_t)(address - stack_of(current)) < STACK) return;  // its own locals
    if ((size_t)(address - (const char*)&minitl_place) < sizeof minitl_place) return;
    count_step(pc);
    size_t step = bytes & (~bytes + 1);  // the largest power of two in it, at most a vector of 16 bytes
    if (step > 16) step = 16;
    if (!whole && (size_t)address % step) fail("misaligned", "an address is no multiple of the access's size", pc, 0, -2, 0, -1);
    size_t in_shared = address - shared_memory;
    if (in_shared < SHARED_BYTES) {
        if (in_shared + bytes > shared_used)
            fail("out of bounds", "beyond the end of shared memory", pc, 0, -1, in_shared, -1);
        for (int i = 0; i < site_count; i++) {
            size_t offset = address - sites[i].at;
            if (offset >= sites[i].bytes + GAP) continue;
            touched = &sites[i];
            if (offset + bytes > sites[i].bytes) fail("out of bounds", "beyond the end of a shared array", pc, 0, -1, offset, -1);
            for (size_t b = 0; b < bytes; b++) watch_shared(shared_cells[in_shared + b], writes, how, pc, offset);
            touched = nullptr;
            return;
        }
        fail("out of bounds", "beyond the end of a shared array", pc, 0, -1, in_shared, -1);
    }
    for (int i = 0; i < launch->array_count; i++) {
        Array& array = launch->arrays[i];
        size_t offset = address - array.begin, size = array.end - array.begin;
        if (offset >= size) continue;
        if (offset + bytes > size) fail("out of bounds", "across the end of an array", pc, 0, i, offset, -1);
        if (!array.writable) {
            if (writes) fail("write to input", "writes to an array that the kernel takes as const", pc, 0, i, offset, -1);
            for (size_t c = offset / array.cell; array.written && c <= (offset + bytes - 1) / array.cell; c++)
                if (!array.written[c]) fail("uninitialised", "reads what nobody wrote", pc, 0, i, offset, -1);
            return;
        }
        for (size_t c = offset / array.cell; c <= (offset + bytes - 1) / array.cell; c++) {
            if (array.written) {
                if (writes) array.written[c] = 1;
                else if (!array.written[c])
                    fail("uninitialised", "reads what nobody wrote", pc, 0, i, offset, -1);
            }
            touch(array_cells[i][c], writes, how, pc, i, offset);
        }
        return;
    }
    size_t in_static = address - static_memory;
    if (in_static < static_bytes) {
        size_t in_dynamic = minitl_extern_shared ? address - minitl_extern_shared() : SHARED_BYTES;
        if (in_dynamic < SHARED_BYTES && in_dynamic + bytes > launch->dynamic_bytes)
            fail("out of bounds", "beyond the end of the dynamic shared memory that the launch asked for", pc, 0, -1, in_dynamic, -1);
        if (in_static + bytes > static_bytes)
            fail("out of bounds", "beyond the end of shared memory", pc, 0, -1, in_static, -1);
        for (size_t b = 0; b < bytes; b++)
            watch_shared(static_cells[in_static + b], writes, how, pc, in_dynamic < SHARED_BYTES ? in_dynamic : in_static);
        return;
    }
    // Constant tables of the kernel's own, and what it was called with, may be read.
    if (!writes && (size_t)(address - __ehdr_start) < (size_t)(_end - __ehdr_start)) return;
    if (!writes && (size_t)(address - launch->arguments) < launch->argument_bytes) return;
    if ((size_t)address < 4096)
        fail("out of bounds",
             writes ? "writes outside of every array: to a null pointer" : "reads outside of every array: from a null pointer",
             pc, 0, -2, 0, -1);
    fail("out of bounds", writes ? "writes outside of every array" : "reads outside of every array", pc, 0, -2, (long long)address, -1);
}

// ---- Running threads --------------------------------------------------------------------------------------------------

void enter() {
    body(body_arguments);
    if (current->copy_count) fail("unfinished copy", "ends with asynchronous copies that it never waited for", nullptr, 0, -2, 0, -1);
    current->state = ENDED;
    void* nowhere;
    minitl_switch(&nowhere, scheduler);
    abort();
}

// What minitl_switch takes to begin `function` on the stack that ends at `end`.
void* new_stack(char* end, void (*function)()) {
    void** top = (void**)(end - 64);
    *--top = nullptr;  // where `function` would return to
    *--top = (void*)function;
    for (int k = 0; k < 6; k++) *--top = nullptr;
    --top;
    unsigned modes;
    unsigned short control;
    asm volatile("stmxcsr %0" : "=m"(modes));
    asm volatile("fnstcw %0" : "=m"(control));
    ((unsigned*)top)[0] = modes;
    ((unsigned*)top)[1] = control;
    return top;
}

void prepare(Fiber& f, unsigned i) {
    f.stack_pointer = new_stack(stack_of(&f) + STACK, enter);
    f.state = READY;
    memset(f.known, 0, sizeof f.known);
    f.copy_count = f.group = 0;
    const unsigned* size = launch->block;
    f.index = {i % size[0], i / size[0] % size[1], i / (size[0] * size[1])};
}

void resume(Fiber& f) {
    current = &f;
    minitl_place.thread = f.index;
    stack_floor = stack_of(&f) + STACK_GUARD;
    in_fiber = true;
    minitl_switch(&scheduler, f.stack_pointer);
    in_fiber = false;
}

unsigned long long random_state;
unsigned random_below(unsigned n) {  // xorshift64
    random_state ^= random_state << 13, random_state ^= random_state >> 7, random_state ^= random_state << 17;
    return (unsigned)((random_state >> 11) % n);
}

void shuffle(unsigned* order, unsigned n) {
    for (unsigned i = n; i > 1; i--) {
        unsigned j = random_below(i), other = order[i - 1];
        order[i - 1] = order[j], order[j] = other;
    }
}

// Lets the warps go on whose operation has all the lanes that its mask names.
bool release_warps() {
    bool released = false;
    for (unsigned first = 0; first < thread_count; first += WARP) {
        unsigned last = first + WARP < thread_count ? first + WARP : thread_count;
        for (unsigned i = first; i < last; i++) {
            if (fibers[i].state != AT_WARP) continue;
            unsigned mask = fibers[i].mask, there = 0;
            int line = fibers[i].line;
            for (unsigned k = first; k < last; k++)
                if (fibers[k].state == AT_WARP && fibers[k].mask == mask && fibers[k].line == line &&
                    fibers[k].orders == fibers[i].orders)
                    there |= 1u << (k - first);
            unsigned exist = last - first == WARP ? ~0u : (1u << (last - first)) - 1;
            if ((mask & exist) != there) continue;
            unsigned newest[WARP] = {};
            for (unsigned k = first; k < last; k++) {
                if (!(there >> (k - first) & 1)) continue;
                fibers[k].state = READY;
                if (!fibers[k].orders) continue;
                fibers[k].known[k - first]++;
                for (unsigned lane = 0; lane < WARP; lane++)
                    if (fibers[k].known[lane] > newest[lane]) newest[lane] = fibers[k].known[lane];
            }
            for (unsigned k = first; k < last; k++)
                if (there >> (k - first) & 1 && fibers[k].orders) memcpy(fibers[k].known, newest, sizeof newest);
            released = true;
        }
    }
    return released;
}

// What keeps the block's threads from going on, all of which wait or have ended: nothing (then they are released), or a fault.
bool release_block() {
    unsigned waiting = 0, ended = 0, stuck = 0, first = MOST_THREADS, last_ended = 0, last_stuck = 0;
    Fault& fault = launch->fault;
    for (unsigned i = 0; i < thread_count; i++) {
        if (fibers[i].state == ENDED) ended++, last_ended = i;
        else if (fibers[i].state == AT_WARP) stuck++, last_stuck = i;
        else {
            waiting++;
            if (first == MOST_THREADS) first = i;
        }
    }
    const char* kind = nullptr;
    const char* what = nullptr;
    int other = -1;
    unsigned guilty = 0;
    if (stuck) {
        kind = "deadlock", what = "a warp operation waits for lanes of its mask that never come";
        guilty = last_stuck;
    } else if (waiting && ended) {
        kind = "divergence", what = "a thread waits at a barrier, but another has ended without it";
        guilty = first, other = (int)last_ended;
    } else {
        barrier_total = 0;
        for (unsigned i = first; i < thread_count && waiting; i++) {
            barrier_total += fibers[i].predicate != 0;
            if (fibers[i].line == fibers[first].line) continue;
            kind = "divergence", what = "threads of one block wait at different barriers";
            guilty = i, other = (int)first;
            break;
        }
    }
    if (kind) {
        snprintf(fault.kind, sizeof fault.kind, "%s", kind);
        snprintf(fault.what, sizeof fault.what, "%s", what);
        fault.line = fibers[guilty].line & LINE, fault.array = -2, fault.pc = fibers[guilty].pc;
        fault.thread = fibers[guilty].index, fault.block = minitl_place.block;
        if (other >= 0) fault.other = fibers[other].index;
        if (other >= 0 && fibers[other].state != ENDED) fault.other_pc = fibers[other].pc;
        failed = true;
        return false;
    }
    for (unsigned i = 0; i < thread_count; i++)
        if (fibers[i].state == AT_BARRIER) fibers[i].state = READY, memset(fibers[i].known, 0, sizeof fibers[i].known);
    interval++;
    return true;
}

void poison_static() {
    char* dynamic = minitl_extern_shared ? minitl_extern_shared() : nullptr;
    size_t in_front = dynamic ? dynamic - static_memory : static_bytes;
    memset(static_memory, 0xFF, in_front);
    if (!dynamic) return;
    memset(dynamic, 0xFF, launch->dynamic_bytes < SHARED_BYTES ? launch->dynamic_bytes : SHARED_BYTES);
    memset(dynamic + SHARED_BYTES, 0xFF, static_bytes - in_front - SHARED_BYTES);
}

void run_block() {
    static unsigned order[MOST_THREADS];
    for (unsigned i = 0; i < thread_count; i++) prepare(fibers[i], i);
    for (unsigned i = 0; i < thread_count; i++) order[i] = launch->schedule == 1 ? thread_count - 1 - i : i;
    first_interval = ++interval;
    site_count = 0, shared_used = 0, dynamic_memory = nullptr;
    poison_static();
    for (;;) {
        if (launch->schedule > 1) shuffle(order, thread_count);
        for (unsigned i = 0; i < thread_count; i++)
            if (fibers[order[i]].state == READY) {
                resume(fibers[order[i]]);
                if (failed) return;
            }
        if (release_warps()) continue;
        unsigned ended = 0;
        for (unsigned i = 0; i < thread_count; i++) ended += fibers[i].state == ENDED;
        if (ended == thread_count || !release_block()) return;
    }
}

// The blocks one after the other, on a stack of its own: so a kernel can pause and its caller return.
void run_grid() {
    const unsigned* grid = launch->grid;
    unsigned long long blocks = (unsigned long long)grid[0] * grid[1] * grid[2];
    random_state = launch->schedule * 0x9E3779B97F4A7C15ull + 1;
    bool shuffled = launch->schedule > 1;
    unsigned* order = shuffled && blocks < 1ull << 31 ? (unsigned*)malloc(blocks * sizeof(unsigned)) : nullptr;
    for (unsigned long long i = 0; order && i < blocks; i++) order[i] = (unsigned)i;
    if (order) shuffle(order, (unsigned)blocks);
    bool memory = order || !shuffled;
    for (unsigned long long i = 0; memory && i < blocks && !failed; i++) {
        unsigned long long b = order ? order[i] : launch->schedule == 1 ? blocks - 1 - i : i;
        minitl_place.block = {(unsigned)(b % grid[0]), (unsigned)(b / grid[0] % grid[1]), (unsigned)(b / grid[0] / grid[1])};
        if (interval > 4000000000u) interval = 1;
        run_block();
    }
    free(order);
    outcome = failed ? FAULT : memory ? DONE : NO_MEMORY;
    void* nowhere;
    minitl_switch(&nowhere, outside);
    abort();
}

char* loop_stack;

void* map(size_t bytes) {
    void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? nullptr : at;
}

size_t cells_of(const Array& a) { return (a.end - a.begin + a.cell - 1) / a.cell; }

char* take_shared(const void* site, size_t bytes, const char* name) {
    size_t at = (shared_used + GAP + 127) / 128 * 128;
    if (at + bytes > SHARED_BYTES || site_count == 256)
        fail("shared memory", "asks for more shared memory than a GPU has (227 KB)", nullptr, 0, -1, (long long)bytes, -1);
    shared_used = at + bytes;
    sites[site_count++] = {site, shared_memory + at, bytes, name};
    memset(shared_memory + at, 0xFF, bytes);  // NaN, should anything read it past the watch
    return shared_memory + at;
}

// Shows the warp `count` values and waits until all lanes of the mask have shown theirs.
void show(unsigned mask, const unsigned long long* values, int count, int line, void* pc, bool orders = false) {
    unsigned me = index_of(current);
    if (!(mask >> (me % WARP) & 1)) fail("deadlock", "a thread's own lane is not in the mask", pc, line, -2, 0, -1);
    if (line < 0 && me / WARP * WARP + WARP > thread_count)
        fail("deadlock", "a matrix operation in a warp that has fewer than 32 threads", pc, 0, -2, 0, -1);
    for (int i = 0; i < count; i++) exchange[me][i] = values[i];
    current->mask = mask, current->orders = orders;
    wait(AT_WARP, line, pc);
}
void seen(unsigned mask, int line, void* pc) {
    current->mask = mask, current->orders = false;
    wait(AT_WARP, line, pc);
}

}  // namespace

extern "C" {

void minitl_stop();
int minitl_go_on();

// Where this library was loaded: turns the address of an instruction into one that tools know.
void* minitl_image() { return __ehdr_start; }

// Runs a kernel (its generated entry, which takes the arguments' addresses) until it ends or is asked to pause; then
// minitl_go_on or minitl_stop must follow, in the same thread. Returns an Outcome.
int minitl_run(void (*entry)(void**), void** arguments, Launch* given) {
    launch = given, body = entry, body_arguments = arguments, failed = false, touched = nullptr;
    find_static();
    if (!stacks && (stacks = (char*)map(MOST_THREADS * STACK)))
        // A few only: a process may have 65,530 maps, and every library has its own stacks.
        for (unsigned i = 0; i < 8; i++) mprotect(stacks + i * STACK, STACK_GUARD, PROT_NONE);
    if (!loop_stack) loop_stack = (char*)map(STACK);
    if (!shared_memory) shared_memory = (char*)map(SHARED_BYTES), shared_cells = (Cell*)map(SHARED_BYTES * sizeof(Cell));
    if (!static_cells) static_cells = (Cell*)map((static_bytes + 1) * sizeof(Cell));
    if (!stacks || !loop_stack || !shared_memory || !shared_cells || !static_cells || given->array_count > MOST_ARRAYS)
        return NO_MEMORY;
    thread_count = given->block[0] * given->block[1] * given->block[2];
    bool memory = true;
    for (int i = 0; i < given->array_count; i++) {
        Array& a = given->arrays[i];
        array_cells[i] = a.writable && a.end > a.begin ? (Cell*)map(cells_of(a) * sizeof(Cell)) : nullptr;
        memory = memory && (array_cells[i] || !a.writable || a.end == a.begin);
    }
    if (!memory) return minitl_stop(), NO_MEMORY;
    interval += 1, steps = 0, step_limit = given->most_steps;
    minitl_place.block_size = {given->block[0], given->block[1], given->block[2]};
    minitl_place.grid_size = {given->grid[0], given->grid[1], given->grid[2]};
    paused = new_stack(loop_stack + STACK, run_grid);
    return minitl_go_on();
}

int minitl_go_on() {
    begin_rescue();
    minitl_switch(&outside, paused);
    end_rescue();
    if (outcome != PAUSED) minitl_stop();
    return outcome;
}

// Gives back what the launch took; what is paused never goes on.
void minitl_stop() {
    for (int i = 0; launch && i < launch->array_count; i++) {
        if (array_cells[i]) munmap(array_cells[i], cells_of(launch->arrays[i]) * sizeof(Cell));
        array_cells[i] = nullptr;
    }
}

void* minitl_shared(const void* site, unsigned long bytes, const char* name) {
    for (int i = 0; i < site_count; i++)
        if (sites[i].site == site) return sites[i].at;
    return take_shared(site, bytes, name);
}
void* minitl_dynamic_shared() {
    static const char site = 0;
    if (!dynamic_memory) dynamic_memory = take_shared(&site, launch->dynamic_bytes, "dynamic");
    return dynamic_memory;
}

int minitl_barrier_count(int line, int predicate) {
    current->predicate = predicate;
    wait(AT_BARRIER, line, __builtin_return_address(0));
    return (int)barrier_total;
}
void minitl_barrier(int line) {
    current->predicate = 0;
    wait(AT_BARRIER, line, __builtin_return_address(0));
}
// The only warp operation that orders memory.
void minitl_warp_barrier(unsigned mask, int line) {
    show(mask, nullptr, 0, line, __builtin_return_address(0), true);
}
unsigned long long minitl_shuffle(unsigned mask, unsigned long long value, unsigned lane, int line) {
    void* pc = __builtin_return_address(0);
    show(mask, &value, 1, line, pc);
    unsigned from = index_of(current) / WARP * WARP + (lane & 31);
    if (!(mask >> (lane & 31) & 1) || from >= thread_count)
        fail("deadlock", "a shuffle reads from a lane outside of its mask", pc, line, -2, 0, -1);
    unsigned long long result = exchange[from][0];
    seen(mask, line, pc);
    return result;
}
unsigned minitl_ballot(unsigned mask, int predicate, int line) {
    unsigned long long mine = predicate != 0;
    void* pc = __builtin_return_address(0);
    show(mask, &mine, 1, line, pc);
    unsigned votes = 0, first = index_of(current) / WARP * WARP;
    for (unsigned i = 0; i < WARP && first + i < thread_count; i++)
        if (mask >> i & 1 && exchange[first + i][0]) votes |= 1u << i;
    seen(mask, line, pc);
    return votes;
}
void minitl_trap(int line) { fail("trap", "the kernel gave up", nullptr, line, -2, 0, -1); }
void minitl_hidden() {
    fail("no kernel", "it is not to be seen at the end of its file: an #if or a namespace hides it", nullptr, 0, -2, 0, -1);
}
// They would end the whole process, as if nothing were wrong.
#define ENDS(name) void name(int) noexcept { fail("trap", "the kernel called " #name, __builtin_return_address(0), 0, -2, 0, -1); }
ENDS(exit) ENDS(_exit) ENDS(_Exit) ENDS(quick_exit)
unsigned minitl_active() {
    unsigned first = index_of(current) / WARP * WARP, lanes = 0;
    for (unsigned i = 0; i < WARP && first + i < thread_count; i++) lanes |= (unsigned)(fibers[first + i].state != ENDED) << i;
    return lanes;
}
void minitl_atomic(void* at, int bytes) { access(at, bytes, true, ATOMIC, __builtin_return_address(0)); }

// ---- Tensor cores and asynchronous copies ------------------------------------------------------------------------------

// In place of a line: lanes meet at the same operation.
enum { MMA_TF32 = -1, MMA_BF16 = -2, LDMATRIX = -3 };

static float as_float(unsigned bits) {
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

// mma.sync.m16n8k8 in TF32: the hardware ignores the low 13 bits of its operands. Lane layout: PTX ISA, "Matrix Fragments
// for mma.m16n8k8". Products are summed exactly, then rounded once.
void minitl_mma_tf32(float* d, const unsigned* a, const unsigned* b, const float* c) {
    unsigned long long mine[6];
    for (int i = 0; i < 4; i++) mine[i] = a[i] & 0xFFFFE000u;
    for (int i = 0; i < 2; i++) mine[4 + i] = b[i] & 0xFFFFE000u;
    show(~0u, mine, 6, MMA_TF32, __builtin_return_address(0));
    unsigned first = index_of(current) / WARP * WARP, lane = index_of(current) % WARP;
    for (int i = 0; i < 4; i++) {
        unsigned row = lane / 4, half = i / 2, column = lane % 4 * 2 + i % 2;
        double sum = c[i];
        for (unsigned k = 0; k < 8; k++)
            sum += (double)as_float((unsigned)exchange[first + row * 4 + k % 4][half + k / 4 * 2]) *
                   as_float((unsigned)exchange[first + column * 4 + k % 4][4 + k / 4]);
        d[i] = (float)sum;
    }
    seen(~0u, MMA_TF32, __builtin_return_address(0));
}

// mma.sync.m16n8k16 in bfloat16: each register holds two numbers, the lower k in its lower half.
void minitl_mma_bf16(float* d, const unsigned* a, const unsigned* b, const float* c) {
    unsigned long long mine[6];
    for (int i = 0; i < 4; i++) mine[i] = a[i];
    for (int i = 0; i < 2; i++) mine[4 + i] = b[i];
    show(~0u, mine, 6, MMA_BF16, __builtin_return_address(0));
    unsigned first = index_of(current) / WARP * WARP, lane = index_of(current) % WARP;
    for (int i = 0; i < 4; i++) {
        unsigned row = lane / 4, half = i / 2, column = lane % 4 * 2 + i % 2;
        double sum = c[i];
        for (unsigned k = 0; k < 16; k++) {
            unsigned owner = k % 8 / 2, upper = k / 8, shift = k % 2 * 16;
            unsigned left = (unsigned)exchange[first + row * 4 + owner][half + upper * 2] >> shift << 16;
            unsigned right = (unsigned)exchange[first + column * 4 + owner][4 + upper] >> shift << 16;
            sum += (double)as_float(left) * as_float(right);
        }
        d[i] = (float)sum;
    }
    seen(~0u, MMA_BF16, __builtin_return_address(0));
}

// ldmatrix.x4: lane i names the i-th of 32 rows of 16 bytes; matrix m is rows 8m to 8m + 7. A lane gets, of each matrix,
// the 4 bytes at row lane / 4, word lane % 4 (transposed: the two halves at rows 2 (lane % 4) and the next, column lane / 4).
void minitl_ldmatrix_x4(unsigned* r, const void* row, int transposed) {
    access(row, 16, false, PLAIN, __builtin_return_address(0));
    unsigned long long mine = (unsigned long long)row;
    show(~0u, &mine, 1, LDMATRIX, __builtin_return_address(0));
    unsigned first = index_of(current) / WARP * WARP, lane = index_of(current) % WARP;
    for (int m = 0; m < 4; m++) {
        if (transposed) {
            unsigned short halves[2];
            for (unsigned h = 0; h < 2; h++)
                halves[h] = ((const unsigned short*)exchange[first + m * 8 + lane % 4 * 2 + h][0])[lane / 4];
            r[m] = halves[0] | (unsigned)halves[1] << 16;
        } else {
            r[m] = ((const unsigned*)exchange[first + m * 8 + lane / 4][0])[lane % 4];
        }
    }
    seen(~0u, LDMATRIX, __builtin_return_address(0));
}

// cp.async: the copy lands as late as the rules permit, when the thread waits for its group, so that a missing wait shows;
// until then its place holds poison, since it might have landed as soon as it was begun.
void minitl_copy_async(void* to, const void* from, int bytes, int valid) {
    void* pc = __builtin_return_address(0);
    if ((size_t)to % bytes || (valid > 0 && (size_t)from % bytes))
        fail("misaligned", "an asynchronous copy's address is no multiple of its size", pc, 0, -2, 0, -1);
    if (valid < 0 || valid > bytes)
        fail("out of bounds", "an asynchronous copy of fewer than no bytes, or of more than fit", pc, 0, -2, 0, -1);
    if ((size_t)((char*)to - shared_memory) >= SHARED_BYTES && (size_t)((char*)to - static_memory) >= static_bytes)
        fail("out of bounds", "an asynchronous copy to what is not shared memory", pc, 0, -2, 0, -1);
    Fiber& f = *current;
    if (f.copy_count == f.copy_room) {
        f.copy_room = f.copy_room ? 2 * f.copy_room : 64;
        f.copies = (Copy*)realloc(f.copies, f.copy_room * sizeof(Copy));
    }
    if (valid > 0) access(from, valid, false, PLAIN, pc);
    for (int b = 0; b < bytes; b += 4) access((char*)to + b, 4, true, BEGIN_COPY, pc);
    memset(to, 0xFF, bytes);
    f.copies[f.copy_count++] = {(char*)to, (const char*)from, bytes, valid, f.group, pc};
}
void minitl_commit_async() { current->group++; }
void minitl_wait_async(int newest) {
    Fiber& f = *current;
    int kept = 0;
    for (int i = 0; i < f.copy_count; i++) {
        Copy c = f.copies[i];
        if (c.group >= f.group - newest) {
            f.copies[kept++] = c;
            continue;
        }
        for (int b = 0; b < c.bytes; b += 4) access(c.to + b, 4, true, END_COPY, c.pc);
        memset(c.to, 0, c.bytes);
        if (c.valid > 0) memcpy(c.to, c.from, c.valid);
    }
    f.copy_count = kept;
}

// ---- The compiler's hooks ----------------------------------------------------------------------------------------------

#define HOOKS(size)                                                                                                        \
    void __tsan_read##size(void* at) { access(at, size, false, PLAIN, __builtin_return_address(0)); }                     \
    void __tsan_write##size(void* at) { access(at, size, true, PLAIN, __builtin_return_address(0)); }                     \
    void __tsan_volatile_read##size(void* at) { access(at, size, false, PLAIN, __builtin_return_address(0)); }            \
    void __tsan_volatile_write##size(void* at) { access(at, size, true, PLAIN, __builtin_return_address(0)); }
HOOKS(1) HOOKS(2) HOOKS(4) HOOKS(8) HOOKS(16)
#define UNALIGNED(size)                                                                                                    \
    void __tsan_unaligned_read##size(void* at) { access(at, size, false, PLAIN, __builtin_return_address(0)); }           \
    void __tsan_unaligned_write##size(void* at) { access(at, size, true, PLAIN, __builtin_return_address(0)); }
UNALIGNED(2) UNALIGNED(4) UNALIGNED(8) UNALIGNED(16)
void __tsan_read_range(void* at, unsigned long n) { if (n) access(at, n, false, PLAIN, __builtin_return_address(0), true); }
void __tsan_write_range(void* at, unsigned long n) { if (n) access(at, n, true, PLAIN, __builtin_return_address(0), true); }
void __tsan_vptr_update(void* at, void*) { access(at, 8, true, PLAIN, __builtin_return_address(0)); }
void __tsan_vptr_read(void* at) { access(at, 8, false, PLAIN, __builtin_return_address(0)); }
// What the compiler calls for copying and filling, under the names that cuda.h gives them.
void* minitl_memmove(void* to, const void* from, unsigned long n) {
    if (n) access(from, n, false, PLAIN, __builtin_return_address(0), true);
    if (n) access(to, n, true, PLAIN, __builtin_return_address(0), true);
    return memmove(to, from, n);
}
void* minitl_memcpy(void* to, const void* from, unsigned long n) {
    if (n) access(from, n, false, PLAIN, __builtin_return_address(0), true);
    if (n) access(to, n, true, PLAIN, __builtin_return_address(0), true);
    return memmove(to, from, n);
}
void* minitl_memset(void* to, int value, unsigned long n) {
    if (n) access(to, n, true, PLAIN, __builtin_return_address(0), true);
    return memset(to, value, n);
}
int minitl_memcmp(const void* a, const void* b, unsigned long n) {
    if (n) access(a, n, false, PLAIN, __builtin_return_address(0), true);
    if (n) access(b, n, false, PLAIN, __builtin_return_address(0), true);
    return memcmp(a, b, n);
}
// An index beyond its array's size (-fsanitize=bounds). The compiler's description: where, then the array's type.
void __ubsan_handle_out_of_bounds(void* description, unsigned long index) {
    const char* type = (const char*)((void**)description)[2] + 4;
    char text[200];
    snprintf(text, sizeof text, "index %ld, beyond the end of an array of type %s", (long)index, type);
    fail("out of bounds", text, __builtin_return_address(0), 0, -2, 0, -1);
}
void minitl_assert(const char* condition, int line) {
    char text[200];
    snprintf(text, sizeof text, "assert(%s) does not hold", condition);
    fail("assertion", text, __builtin_return_address(0), line, -2, 0, -1);
}
void __assert_fail(const char* condition, const char*, unsigned line, const char*) noexcept { minitl_assert(condition, (int)line); abort(); }
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_init() {}
void __sanitizer_cov_trace_pc() { count_step(__builtin_return_address(0)); }
}
