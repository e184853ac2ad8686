// What would stop the whole process stops the kernel instead: the signals that the launching thread gets while it runs
// one of the kernel's threads. And a clock that ends what no hook sees (an empty loop), and asks a long launch to pause,
// so that Python can see to its own signals, such as Ctrl-C. Included by runtime.cpp alone.
#include <csignal>
#include <ctime>
#include <pthread.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

namespace {

const int CAUGHT[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
const int CAUGHT_COUNT = sizeof CAUGHT / sizeof *CAUGHT;
const long TICK = 200'000'000;  // nanoseconds of the thread's own time
const int TICKS_STILL = 5;      // without a step: the kernel is in a loop that does nothing

struct sigaction before[CAUGHT_COUNT], before_tick;
stack_t stack_before;
pthread_t launching;
volatile bool in_fiber;  // whether one of the kernel's threads runs, rather than the scheduler
timer_t ticking;
bool have_timer;
unsigned long long steps_at_tick;
int still;
struct { const char *kind, *what; void* pc; } crash;
alignas(64) char signal_stack[65536], landing_stack[65536];

// Where a thread that crashed goes on, on a stack that is whole.
void land() { fail(crash.kind, crash.what, crash.pc, 0, -2, 0, -1); }

void land_from(void* context, const char* kind, const char* what) {
    greg_t* registers = ((ucontext_t*)context)->uc_mcontext.gregs;
    crash = {kind, what, (char*)registers[REG_RIP] + 1};
    registers[REG_RIP] = (greg_t)land;
    registers[REG_RSP] = (greg_t)(landing_stack + sizeof landing_stack - 64 - 8);
}

void rescue(int signal, siginfo_t* info, void* context) {
    if (!in_fiber || !pthread_equal(pthread_self(), launching)) {  // not ours: it comes again, to whom it came before
        for (int i = 0; i < CAUGHT_COUNT; i++)
            if (CAUGHT[i] == signal) sigaction(signal, &before[i], nullptr);
        return;
    }
    const greg_t* registers = ((ucontext_t*)context)->uc_mcontext.gregs;
    char* at = (char*)info->si_addr;
    if (signal == SIGFPE)
        land_from(context, "division by zero", "an integer is divided by zero, or the least one by -1");
    else if (signal == SIGILL || signal == SIGTRAP)
        land_from(context, "trap", "the kernel gave up, or uses an instruction that this processor does not have");
    else if (signal == SIGABRT)
        land_from(context, "trap", "the kernel called abort");
    else if ((size_t)(at - stacks) < MOST_THREADS * STACK && (size_t)(at - stacks) % STACK < STACK_GUARD)
        land_from(context, "stack overflow", TOO_DEEP);
    else {
        void* caller = nullptr;
        if (at == (char*)registers[REG_RIP]) caller = *(void**)registers[REG_RSP];  // a call to nowhere
        land_from(context, "out of bounds", caller ? "calls what is no function" : "touches an address that is nobody's");
        if (caller) crash.pc = caller;
    }
}

void tick(int, siginfo_t*, void* context) {
    if (!in_fiber || !pthread_equal(pthread_self(), launching)) return;
    if (steps != steps_at_tick) {
        steps_at_tick = steps, still = 0;
        step_limit = 0;  // the next step pauses
    } else if (++still == TICKS_STILL) {
        land_from(context, "hang", "a loop that does nothing never ends");
    }
}

void begin_rescue() {
    launching = pthread_self(), still = 0, steps_at_tick = ~0ull;
    stack_t mine = {};
    mine.ss_sp = signal_stack, mine.ss_size = sizeof signal_stack;
    sigaltstack(&mine, &stack_before);
    struct sigaction action = {};
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER;
    action.sa_sigaction = rescue;
    for (int i = 0; i < CAUGHT_COUNT; i++) sigaction(CAUGHT[i], &action, &before[i]);
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    action.sa_sigaction = tick;
    sigaction(SIGRTMAX - 3, &action, &before_tick);
    sigevent event = {};
    event.sigev_notify = SIGEV_THREAD_ID, event.sigev_signo = SIGRTMAX - 3;
    event._sigev_un._tid = (int)syscall(SYS_gettid);
    have_timer = timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &ticking) == 0;
    itimerspec every = {{0, TICK}, {0, TICK}};
    if (have_timer) timer_settime(ticking, 0, &every, nullptr);
}

void end_rescue() {
    if (have_timer) timer_delete(ticking);
    // A tick that is on its way must not find the default, which ends the process.
    if (before_tick.sa_handler != SIG_DFL) sigaction(SIGRTMAX - 3, &before_tick, nullptr);
    for (int i = 0; i < CAUGHT_COUNT; i++) sigaction(CAUGHT[i], &before[i], nullptr);
    sigaltstack(&stack_before, nullptr);
}

}  // namespace
