/*
 * Relays frames between two network interfaces; each is late by the same time, and some are lost. tc-netem(8) does this where the
 * kernel has it. It runs until it is killed.
 *
 *   slow-wire ONE OTHER DELAY_MS LOST_IN_THOUSAND
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FRAMES = 8192, FRAME_BYTES = 2048 };

struct frame {
  int64_t due_ns;
  int length;
  unsigned char bytes[FRAME_BYTES];
};

/* Frames on their way from one end to the other, the oldest first. */
struct way {
  int from, to;
  unsigned first, count;
  struct frame frames[FRAMES];
};

static struct way ways[2];
static uint64_t dice = 88172645463325252u; /* the same every time */

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static int open_end(const char *name) {
  int end = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
  struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = if_nametoindex(name)};
  struct packet_mreq all = {.mr_ifindex = address.sll_ifindex, .mr_type = PACKET_MR_PROMISC};
  if (end < 0 || bind(end, (struct sockaddr *)&address, sizeof address) < 0) fail(name);
  if (setsockopt(end, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all) < 0) fail(name);
  return end;
}

static int is_lost(unsigned lost_in_thousand) {
  dice ^= dice << 13, dice ^= dice >> 7, dice ^= dice << 17;
  return dice % 1000 < lost_in_thousand;
}

static void take(struct way *way, int64_t delay_ns, unsigned lost_in_thousand) {
  struct frame *frame = &way->frames[(way->first + way->count) % FRAMES];
  struct sockaddr_ll sender;
  socklen_t size = sizeof sender;
  ssize_t length = recvfrom(way->from, frame->bytes, FRAME_BYTES, MSG_TRUNC, (struct sockaddr *)&sender, &size);
  if (length < 0) fail("recvfrom");
  if (sender.sll_pkttype == PACKET_OUTGOING || way->count == FRAMES || is_lost(lost_in_thousand)) return;
  if (length > FRAME_BYTES) {
    fprintf(stderr, "a frame of %zd bytes: switch segmentation offload off\n", length);
    exit(1);
  }
  frame->length = length;
  frame->due_ns = now_ns() + delay_ns;
  way->count++;
}

int main(int words, char **word) {
  if (words != 5) return fprintf(stderr, "slow-wire ONE OTHER DELAY_MS LOST_IN_THOUSAND\n"), 2;
  int one = open_end(word[1]), other = open_end(word[2]);
  int64_t delay_ns = atoll(word[3]) * 1000000;
  ways[0].from = ways[1].to = one;
  ways[0].to = ways[1].from = other;
  puts("ready");
  fflush(stdout);
  for (;;) {
    int64_t wait_ns = 1000000000;
    for (int n = 0; n < 2; n++) {
      struct way *way = &ways[n];
      for (; way->count > 0; way->first = (way->first + 1) % FRAMES, way->count--) {
        struct frame *frame = &way->frames[way->first];
        int64_t left_ns = frame->due_ns - now_ns();
        if (left_ns > 0) {
          if (left_ns < wait_ns) wait_ns = left_ns;
          break;
        }
        if (send(way->to, frame->bytes, frame->length, 0) < 0) perror("send"); /* lost, as on any wire */
      }
    }
    struct timespec wait = {.tv_sec = wait_ns / 1000000000, .tv_nsec = wait_ns % 1000000000};
    struct pollfd ends[2] = {{.fd = ways[0].from, .events = POLLIN}, {.fd = ways[1].from, .events = POLLIN}};
    if (ppoll(ends, 2, &wait, NULL) < 0) fail("ppoll");
    for (int n = 0; n < 2; n++)
      if (ends[n].revents & POLLIN) take(&ways[n], delay_ns, atoi(word[4]));
  }
}
