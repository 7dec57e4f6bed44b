/* A load generator inside the kernel, and what checks the answers: more requests than any program could send.
 *
 * `generate` is run again and again on frames that the kernel then sends (BPF_F_TEST_XDP_LIVE_FRAMES). `check_frame`
 * sees the answers of servers that answer in the driver, as they come out at the other end of the wire; `check_packet`
 * those of the others, as they are given to the wire, and takes them off it: a card that sends for nothing.
 * frames.py makes frames.o of it, loads that, and repeats the layouts.
 */

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long s64;

#define SECTION(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))
#define NETWORK16(value) ((u16)__builtin_bswap16(value))
#define NETWORK32(value) __builtin_bswap32(value)

/* Kernel interface: linux/bpf.h. */

enum { XDP_DROP = 1, XDP_PASS = 2, XDP_TX = 3 };
enum { TCX_NEXT = -1, TCX_DROP = 2 };

struct frame_context {
    u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};

struct packet_context {
    u32 others[19], data, data_end;
};

static u64 (*const monotonic_time)(void) = (void *)5;
static u32 (*const random_bits)(void) = (void *)7;

/* Which source this was made of (frames.py). */
const char source_digest[] SECTION("source") = SOURCE_DIGEST;

enum { HEADERS = 42, REQUEST = HEADERS + 48, SLOTS = 1 << 16, STALLED_NS = 5000000, CATCH_UP = 32 };

/* An NTP request in UDP in IPv4 in Ethernet, in words of 16 bits. */
enum { PROTOCOL = 6, IP_SUM = 12, SOURCE = 13, FROM_PORT = 17, TO_PORT = 18, UDP_SUM = 20, NTP = 21 };
enum { ORIGIN = NTP + 12, TRANSMIT = NTP + 20 };

/* Said by Python. */
volatile struct {
    u64 window;      /* requests under way at most */
    u64 interval_ns; /* between requests; 0 = none */
    u32 first_client, clients;
    u32 ip_sum, udp_sum; /* of all that is the same in all requests */
    u16 frame[REQUEST / 2];
} settings SECTION(".bss");

/* Of the generator, which runs on one CPU. */
volatile struct {
    u64 sent, refused, written_off, answered_before, progress_at, due;
} generator SECTION(".bss");

/* Of the checker, which likewise does. */
volatile struct {
    u64 answered, invalid, unsynchronised;
} answers SECTION(".bss");

/* Tokens under way; the lowest bits are their place here. */
volatile u64 pending[SLOTS] SECTION(".bss");

INLINE u16 fold(u64 sum)
{
    sum = (sum >> 16) + (u16)sum;
    sum = (sum >> 16) + (u16)sum;
    sum = (sum >> 16) + (u16)sum;
    return ~((sum >> 16) + (u16)sum);
}

/* Whether it is time for another request. */
INLINE int may_send(void)
{
    if (settings.interval_ns) {
        u64 now = monotonic_time();
        if (now < generator.due)
            return 0;
        /* What was missed is made up for, but no more than the wire's queue can hold. */
        u64 earliest = now - CATCH_UP * settings.interval_ns;
        if (generator.due < earliest)
            generator.due = earliest;
        generator.due += settings.interval_ns;
        return 1;
    }
    u64 answered = answers.answered;
    if ((s64)(generator.sent - generator.written_off - answered) < (s64)settings.window)
        return 1;
    u64 now = monotonic_time();
    if (answered != generator.answered_before) {
        generator.answered_before = answered;
        generator.progress_at = now;
    } else if (now - generator.progress_at > STALLED_NS) {
        generator.written_off = generator.sent - answered;
        generator.progress_at = now;
    }
    return 0;
}

SECTION("xdp") int generate(const struct frame_context *context)
{
    u16 *words = (void *)(unsigned long)context->data;
    if ((void *)words + REQUEST > (void *)(unsigned long)context->data_end || !settings.clients)
        return XDP_DROP;
    if (!may_send()) {
        generator.refused++;
        return XDP_DROP;
    }
    u64 number = generator.sent++;
    u64 token = (u64)random_bits() << 32 | (number & (SLOTS - 1)) | 1 << 16;
    pending[number & (SLOTS - 1)] = token;
    /* All of it, for the frame may be one that has come back as an answer. */
#pragma unroll
    for (int i = 0; i < REQUEST / 2; i++)
        words[i] = settings.frame[i];
    u32 source = NETWORK32(settings.first_client + (u32)(number * 7919 % settings.clients));
    u16 port = NETWORK16(0x8000 | (number & 0x7FFF));
    words[SOURCE] = source;
    words[SOURCE + 1] = source >> 16;
    words[FROM_PORT] = port;
    u32 source_sum = (u16)source + (source >> 16), token_sum = 0;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        words[TRANSMIT + i] = token >> 16 * i;
        token_sum += words[TRANSMIT + i];
    }
    words[IP_SUM] = fold(settings.ip_sum + source_sum);
    u16 sum = fold(settings.udp_sum + source_sum + port + token_sum);
    words[UDP_SUM] = sum ? sum : 0xFFFF;
    return XDP_TX;
}

/* Counts an answer; 0 where it is something else. */
INLINE int check(const u16 *words, const void *end)
{
    if ((const void *)words + HEADERS > end || words[PROTOCOL] != NETWORK16(0x0800) || words[FROM_PORT] != NETWORK16(123))
        return 0;
    const u8 *ntp = (const void *)(words + NTP);
    if ((const void *)words + REQUEST > end || (ntp[0] & 0x3F) != 0x24) {
        answers.invalid++;
        return 1;
    }
    u64 token = 0;
#pragma unroll
    for (int i = 0; i < 4; i++)
        token |= (u64)words[ORIGIN + i] << 16 * i;
    u64 slot = token & (SLOTS - 1);
    if (!token || pending[slot] != token) {
        answers.invalid++;
        return 1;
    }
    pending[slot] = 0;
    answers.answered++;
    if (ntp[0] >> 6 == 3 || !ntp[1])
        answers.unsynchronised++;
    return 1;
}

SECTION("xdp.check") int check_frame(const struct frame_context *context)
{
    return check((void *)(unsigned long)context->data, (void *)(unsigned long)context->data_end) ? XDP_DROP : XDP_PASS;
}

SECTION("tcx.check") int check_packet(const struct packet_context *context)
{
    return check((void *)(unsigned long)context->data, (void *)(unsigned long)context->data_end) ? TCX_DROP : TCX_NEXT;
}
