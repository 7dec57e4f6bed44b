/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * Answers plain NTP requests inside the network driver, before the kernel's network stack sees them (XDP).
 *
 * It answers what is common and certain: a 48-octet request of version 3 or 4 in mode 3, over UDP on IPv4 or IPv6, to an
 * address of ours, with a correct checksum, while the time is good. It drops what the access lists and the rate limit
 * refuse. All else, and all that is odd in the least, is left to the stack and to the answering workers (XDP_PASS).
 * Held to core/server/responder.py by the tests. Little-endian; compile.py makes answer.o of it, rules.py loads that.
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

struct context {
    u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};

static void *(*const map_lookup)(const void *map, const void *key) = (void *)1;
static long (*const map_update)(const void *map, const void *key, const void *value, u64 flags) = (void *)2;
static u64 (*const monotonic_time)(void) = (void *)5;
static u64 (*const tai_time)(void) = (void *)208; /* since Linux 6.1 */

/* When the card took this frame in, by its own clock; since Linux 6.3, for programs that are bound to one card.
 *
 * For all others the loader puts an instruction in the place of the call that does nothing: so nobody reads its result.
 */
extern int bpf_xdp_metadata_rx_timestamp(const struct context *context, u64 *stamp);

/* What it shares with Python: layouts are repeated in rules.py, state.py, card_clock.py and access_list.py. */

struct map {
    u8 unused;
};
struct map endpoints SECTION("maps"); /* struct endpoint -> u64: the MAC address that it is reached by */
struct map access SECTION("maps");    /* longest prefix of a source address -> u8: enum admission */
struct map clients SECTION("maps");   /* address -> struct client, the least recent forgotten first */
struct map counters SECTION("maps");  /* enum verdict, or STAMPED_BY_CARD, -> u64, on each CPU */
struct map states SECTION("maps");    /* 0 -> u64: the number of the newest state; 1, 2 -> union state */
struct map cards SECTION("maps");     /* interface -> union card */

struct endpoint {
    u32 interface, tags, address[4], port;
};

enum admission { UNDECIDED, ADMITTED, DENIED, NOT_ALLOWED, IMPOSSIBLE };

enum verdict { BASIC, RATE_KISS, ACCESS_DENIED, NOT_ON_LIST, RATE_LIMITED, BAD_SOURCE, STAMPED_BY_CARD };

struct client {
    u64 due, next_kiss, last_seen, hits, first_seen; /* as in core/server/clients.py */
};

struct prefix {
    u32 length, address[4];
};

/* Known when the program is loaded: the verifier takes out what a policy does not need. */
const volatile struct {
    u64 interval_ns, tolerance_ns, kiss_interval_ns, leak_key;
    u8 rate_limit, interleaved, traffic_class;
} policy SECTION(".rodata") = {0};

#define STATE_WORDS 14

/* What to answer and how to read the clock; the times are good for less than 2**32 ns. */
union state {
    struct {
        u64 number;
        u64 head[3];              /* an answer's first 24 octets, without version, poll and root dispersion */
        u64 tai_base, ntp_base;   /* the same instant on the kernel's clock and as an NTP timestamp */
        u64 tai_minus_monotonic;  /* as long as nobody steps the clock */
        u64 lifetime_ns;          /* after tai_base */
        u64 rate;                 /* 2**-29 units of a timestamp per nanosecond */
        s64 slew_rate;            /* the same, on top of it, ... */
        u64 slew_ns;              /* ... for so long */
        u64 dispersion;           /* 2**-52 s at tai_base */
        u64 dispersion_rate;      /* 2**-52 s per nanosecond */
        u64 check;
    };
    u64 words[STATE_WORDS];
};

#define CARD_WORDS 5

/* A card's clock as a straight line to the kernel's TAI. */
union card {
    struct {
        u64 card_base, tai_base; /* the same instant on both */
        s64 drift;               /* by how much faster the kernel's runs, in 2**-40 */
        u64 lifetime_ns;         /* after card_base, less than 2**32 */
        u64 check;
    };
    u64 words[CARD_WORDS];
};

/* Which source this was made of (compile.py). */
const char source_digest[] SECTION("source") = SOURCE_DIGEST;

#define MULTIPLIER 0x9E3779B97F4A7C15ull
#define LEAK_MULTIPLIER 0xBF58476D1CE4E5B9ull
#define CLOCK_MOVED_NS 100000ull
/* From reading the clock to the departure, in 2**-32 s: a quarter of a microsecond, the program's and the driver's. */
#define TURNAROUND 1074
#define LAST_BIT 1ull
/* A frame waits no longer for the program. A card's clock that somebody steps makes no greater error than this. */
#define LONGEST_WAIT_NS 1000000ull

/* Frames. */

enum { IPV4 = NETWORK16(0x0800), IPV6 = NETWORK16(0x86DD), VLAN = NETWORK16(0x8100), SERVICE_VLAN = NETWORK16(0x88A8) };
enum { UDP = 17, HOPS = 64, NTP_OCTETS = 48, UDP_OCTETS = 56, IPV4_OCTETS = 76 };

struct ethernet {
    u16 destination[3], source[3], type;
};

struct vlan {
    u16 control, type;
};

struct ipv4 {
    u8 version_and_length, traffic_class;
    u16 total_length, identification, fragment;
    u8 hops, protocol;
    u16 checksum;
    u32 source, destination;
};

struct ipv6 {
    u32 version_and_class;
    u16 payload_length;
    u8 next_header, hops;
    u32 source[4], destination[4];
};

struct udp {
    u16 source, destination, length, checksum;
};

enum { POLL_AND_VERSION = 0x00FF0038, DISPERSION = 2, REFERENCE_ID = 3, ORIGIN = 6, RECEIVE = 8, TRANSMIT = 10 };

struct ntp {
    u32 words[NTP_OCTETS / 4];
};

struct request {
    struct ethernet *ethernet;
    void *ip;
    int is_ipv4; /* by the pointer alone the verifier would not know */
    struct udp *udp;
    struct ntp *ntp;
    struct endpoint asked;
    struct prefix client;
    u64 addresses_sum;
};

INLINE u64 sum_words(const u32 *words, int number)
{
    u64 sum = 0;
#pragma unroll
    for (int i = 0; i < number; i++)
        sum += words[i];
    return sum;
}

/* RFC 1071: of network order, in network order. */
INLINE u16 fold(u64 sum)
{
    sum = (sum >> 32) + (u32)sum;
    sum = (sum >> 32) + (u32)sum;
    sum = (sum >> 16) + (u16)sum;
    sum = (sum >> 16) + (u16)sum;
    return sum;
}

/* Of the UDP header and pseudo header (RFC 768, RFC 8200 section 8.1), which are the same both ways, and the payload. */
INLINE u16 datagram_sum(const struct request *request, u64 payload)
{
    const struct udp *udp = request->udp;
    return fold(request->addresses_sum + payload + udp->source + udp->destination + 2 * NETWORK16(UDP_OCTETS) +
                NETWORK16(UDP));
}

/* Whether a datagram of just our size follows an IP header, and nothing after that. */
INLINE int fits(void *payload, void *end)
{
    payload += UDP_OCTETS;
    if (payload > end)
        return 0;
    asm volatile("" : "+r"(payload)); /* or the compiler makes one `!=` of both, which the verifier does not allow */
    return payload + 1 > end;
}

INLINE int parse_ipv4(struct request *request, void *at, void *end)
{
    struct ipv4 *ip = at;
    if (!fits(ip + 1, end))
        return 0;
    if (ip->version_and_length != 0x45 || ip->total_length != NETWORK16(IPV4_OCTETS) || ip->protocol != UDP)
        return 0;
    if (ip->fragment & NETWORK16(0xBFFF)) /* all but "don't fragment" */
        return 0;
    if (fold(sum_words(at, 5)) != 0xFFFF)
        return 0;
    request->ip = ip;
    request->is_ipv4 = 1;
    request->udp = (void *)(ip + 1);
    request->asked.address[2] = request->client.address[2] = NETWORK32(0xFFFF); /* mapped, RFC 4291 section 2.5.5.2 */
    request->asked.address[3] = ip->destination;
    request->client.address[3] = ip->source;
    request->addresses_sum = (u64)ip->source + ip->destination;
    return ip->source != ip->destination;
}

INLINE int parse_ipv6(struct request *request, void *at, void *end)
{
    struct ipv6 *ip = at;
    if (!fits(ip + 1, end))
        return 0;
    if ((ip->version_and_class & 0xF0) != 0x60 || ip->payload_length != NETWORK16(UDP_OCTETS) || ip->next_header != UDP)
        return 0;
    request->ip = ip;
    request->udp = (void *)(ip + 1);
    u32 differ = 0;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        request->asked.address[i] = ip->destination[i];
        request->client.address[i] = ip->source[i];
        differ |= ip->source[i] ^ ip->destination[i];
    }
    request->addresses_sum = sum_words(ip->source, 8);
    /* An IPv4 address in IPv6 clothes does not belong on a wire, and a sum is mandatory. */
    int mapped = !ip->source[0] && !ip->source[1] && ip->source[2] == NETWORK32(0xFFFF);
    return differ && !mapped && request->udp->checksum;
}

/* Whether a frame is a plain request to one of our endpoints; who asks, and where everything is. */
INLINE int parse_request(struct request *request, const struct context *context)
{
    void *at = (void *)(unsigned long)context->data, *end = (void *)(unsigned long)context->data_end;
    struct ethernet *ethernet = at;
    request->ethernet = ethernet;
    at += sizeof *ethernet;
    if (at > end)
        return 0;
    u16 type = ethernet->type;
#pragma unroll
    for (int i = 0; i < 2 && (type == VLAN || type == SERVICE_VLAN); i++) {
        struct vlan *tag = at;
        at += sizeof *tag;
        if (at > end)
            return 0;
        u32 service = type == SERVICE_VLAN ? 0x1000 : 0;
        request->asked.tags = request->asked.tags << 16 | 0x8000 | service | (NETWORK16(tag->control) & 0xFFF);
        type = tag->type;
    }
    if (!(type == IPV4 ? parse_ipv4(request, at, end) : type == IPV6 && parse_ipv6(request, at, end)))
        return 0;
    request->ntp = (void *)(request->udp + 1);
    u8 kind = request->ntp->words[0] & 0x3F;
    if ((kind != 0x23 && kind != 0x1B) || request->udp->length != NETWORK16(UDP_OCTETS) || !request->udp->source)
        return 0;
    request->asked.interface = context->ingress_ifindex;
    request->asked.port = request->udp->destination;
    u64 *mac = map_lookup(&endpoints, &request->asked);
    const u16 *destination = ethernet->destination;
    return mac && *mac == (destination[0] | (u64)destination[1] << 16 | (u64)destination[2] << 32);
}

INLINE int sum_is_right(const struct request *request)
{
    if (!request->udp->checksum)
        return 1; /* none was made: IPv4 allows that */
    return datagram_sum(request, request->udp->checksum + sum_words(request->ntp->words, NTP_OCTETS / 4)) == 0xFFFF;
}

/* Words that Python may be writing just now; 0 where half is old: no reordering of accesses gets past the check. */
INLINE int read_checked(const volatile u64 *from, u64 *words, int number)
{
    u64 multiplier = 1, check = 0;
#pragma unroll
    for (int i = 0; i < number - 1; i++) {
        words[i] = from[i];
        multiplier *= MULTIPLIER;
        check += words[i] * multiplier;
    }
    return check == from[number - 1];
}

/* The newest state; 0 where it is half written.
 *
 * The writer fills the slot that is not announced, then announces its number. (Look-ups instead of one variable with an
 * index: for that the verifier would ask for one more right.)
 */
INLINE int read_state(union state *state)
{
    u32 index = 0;
    const volatile u64 *words = map_lookup(&states, &index);
    if (!words)
        return 0;
    index = 1 + (*words & 1);
    words = map_lookup(&states, &index);
    return words && read_checked(words, state->words, STATE_WORDS);
}

/* Nanoseconds since the state's base; 0 where the state is too old, or the clock was stepped by somebody else. */
INLINE int still_good(const union state *state, u64 tai, u64 now, u64 *elapsed)
{
    *elapsed = tai - state->tai_base;
    u64 moved = tai - now - state->tai_minus_monotonic + CLOCK_MOVED_NS;
    return *elapsed < state->lifetime_ns && moved <= 2 * CLOCK_MOVED_NS;
}

/* Nanoseconds that the frame has waited since the card stamped it; 0 where it did not, or that is not to be believed. */
INLINE u64 waited_ns(const struct context *context, u64 tai)
{
    u64 stamp = 0;
    bpf_xdp_metadata_rx_timestamp(context, &stamp);
    if (!stamp)
        return 0;
    u32 interface = context->ingress_ifindex;
    const volatile u64 *words = map_lookup(&cards, &interface);
    union card card;
    if (!words || !read_checked(words, card.words, CARD_WORDS))
        return 0;
    s64 elapsed = stamp - card.card_base; /* negative where the line was drawn anew while the frame waited */
    if (elapsed + LONGEST_WAIT_NS >= card.lifetime_ns)
        return 0;
    u64 waited = tai - (card.tai_base + elapsed + (elapsed * card.drift >> 40));
    return waited <= LONGEST_WAIT_NS ? waited : 0;
}

/* Whether a refused request is answered all the same, so that spoofed ones can't starve a client; see ratelimit.py. */
INLINE int leaks(u64 number)
{
    u64 value = (number + policy.leak_key) * MULTIPLIER;
    return (value ^ value >> 32) * LEAK_MULTIPLIER >> 62 == 1;
}

/* A client's token bucket by its virtual schedule; as core/server/ratelimit.py, kisses and leak included. */
INLINE int admit(struct client *client, u64 now, enum verdict *verdict)
{
    client->hits++;
    client->last_seen = now;
    if (!policy.rate_limit)
        return 1;
    /* Two CPUs may take the same token: cards keep a flow on one of them. */
    u64 due = client->due > now ? client->due : now;
    if (due - now <= policy.tolerance_ns) {
        client->due = due + policy.interval_ns;
        return 1;
    }
    if (now < client->next_kiss) {
        int leaking = leaks(client->hits);
        *verdict = leaking ? BASIC : RATE_LIMITED;
        return leaking;
    }
    client->next_kiss = now + policy.kiss_interval_ns;
    *verdict = RATE_KISS;
    return 1;
}

/* The NTP timestamp of so many nanoseconds after the state's base. */
INLINE u64 timestamp(const union state *state, u64 elapsed)
{
    u64 slewing = elapsed < state->slew_ns ? elapsed : state->slew_ns;
    return state->ntp_base + (elapsed * state->rate >> 29) + ((s64)slewing * state->slew_rate >> 29);
}

INLINE void write_answer(const struct request *request, const union state *state, u64 elapsed, u64 waited,
                         enum verdict verdict)
{
    u32 *words = request->ntp->words;
    u64 received = timestamp(state, elapsed - waited) | LAST_BIT;
    u64 departs = (timestamp(state, elapsed) + TURNAROUND) & ~LAST_BIT;
    u32 dispersion = (state->dispersion + elapsed * state->dispersion_rate + (1ull << 36) - 1) >> 36;
    u32 answer[NTP_OCTETS / 4] = {
        (u32)state->head[0] | (words[0] & POLL_AND_VERSION),
        state->head[0] >> 32,
        NETWORK32(dispersion),
        state->head[1] >> 32,
        state->head[2],
        state->head[2] >> 32,
        words[TRANSMIT],
        words[TRANSMIT + 1],
        NETWORK32((u32)(received >> 32)),
        NETWORK32((u32)received),
        NETWORK32((u32)(departs >> 32)),
        NETWORK32((u32)departs),
    };
    if (verdict == RATE_KISS) { /* leap 3 and stratum 0: nothing to set a clock by (RFC 5905 section 7.4) */
        answer[0] = (answer[0] & ~0xFFC0u) | 0xC0;
        answer[REFERENCE_ID] = NETWORK32(0x52415445);
    }
    __builtin_memcpy(words, answer, sizeof answer);
    u16 sum = ~datagram_sum(request, sum_words(answer, NTP_OCTETS / 4));
    request->udp->checksum = sum ? sum : 0xFFFF;
}

/* Send it back where it came from. */
INLINE void turn_round(const struct request *request)
{
    struct ethernet *ethernet = request->ethernet;
#pragma unroll
    for (int i = 0; i < 3; i++) {
        u16 word = ethernet->source[i];
        ethernet->source[i] = ethernet->destination[i];
        ethernet->destination[i] = word;
    }
    u16 port = request->udp->source;
    request->udp->source = request->udp->destination;
    request->udp->destination = port;
    const u32 *us = request->asked.address, *client = request->client.address;
    if (request->is_ipv4) {
        struct ipv4 *ip = request->ip;
        ip->traffic_class = policy.traffic_class;
        ip->identification = 0; /* never a fragment: RFC 6864 section 4.1 */
        ip->fragment = NETWORK16(0x4000);
        ip->hops = HOPS;
        ip->source = us[3];
        ip->destination = client[3];
        ip->checksum = 0;
        ip->checksum = ~fold(sum_words((u32 *)ip, 5));
    } else {
        struct ipv6 *ip = request->ip;
        ip->version_and_class = NETWORK32(6u << 28 | (u32)policy.traffic_class << 20);
        ip->hops = HOPS;
        __builtin_memcpy(ip->source, us, sizeof ip->source);
        __builtin_memcpy(ip->destination, client, sizeof ip->destination);
    }
}

INLINE void count(u32 verdict)
{
    u64 *counter = map_lookup(&counters, &verdict);
    if (counter)
        ++*counter;
}

SECTION("xdp") int answer(const struct context *context)
{
    struct request request = {.client.length = 128};
    if (!parse_request(&request, context))
        return XDP_PASS;
    u64 tai = tai_time(), now = monotonic_time(), elapsed;
    union state state;
    if (!sum_is_right(&request) || !read_state(&state) || !still_good(&state, tai, now, &elapsed))
        return XDP_PASS;

    u8 *admission = map_lookup(&access, &request.client);
    if (!admission || *admission == UNDECIDED)
        return XDP_PASS;
    if (*admission != ADMITTED) {
        count(*admission == DENIED ? ACCESS_DENIED : *admission == NOT_ALLOWED ? NOT_ON_LIST : BAD_SOURCE);
        return XDP_DROP;
    }
    /* Receive timestamps of ours end in a 1: who shows one as its origin may ask for interleaved mode (RFC 9769). */
    const u32 *words = request.ntp->words;
    if (policy.interleaved && words[ORIGIN + 1] & NETWORK32(1) &&
        (words[RECEIVE] != words[TRANSMIT] || words[RECEIVE + 1] != words[TRANSMIT + 1]))
        return XDP_PASS;

    enum verdict verdict = BASIC;
    struct client *known = map_lookup(&clients, request.client.address);
    if (known) {
        if (!admit(known, now, &verdict)) {
            count(verdict);
            return XDP_DROP;
        }
    } else {
        struct client fresh = {now + policy.interval_ns, 0, now, 1, now};
        if (map_update(&clients, request.client.address, &fresh, 0))
            return XDP_PASS;
    }
    u64 waited = waited_ns(context, tai);
    if (waited > elapsed) /* the state is younger than the stamp */
        waited = 0;
    if (waited)
        count(STAMPED_BY_CARD);
    write_answer(&request, &state, elapsed, waited, verdict);
    turn_round(&request);
    count(verdict);
    return XDP_TX;
}
