/* The floor of DNS answers: what comes in goes back as an answer with one address, nothing looked at. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { BATCH = 64, ROOM = 512 };

static const unsigned char record[16] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 2, 88, 0, 4, 10, 0, 0, 1};

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
  if (inet_pton(AF_INET, argv[1], &own.sin_addr) != 1) return 2;
  if (bind(fd, (struct sockaddr *)&own, sizeof own) != 0) {
    perror("bind");
    return 1;
  }
  static unsigned char bytes[BATCH][ROOM];
  static struct sockaddr_in from[BATCH];
  static struct iovec pieces[BATCH];
  static struct mmsghdr messages[BATCH];
  puts("ready");
  fflush(stdout);
  for (;;) {
    for (int at = 0; at < BATCH; at++) {
      pieces[at] = (struct iovec){bytes[at], ROOM - sizeof record};
      messages[at].msg_hdr = (struct msghdr){
          .msg_name = &from[at], .msg_namelen = sizeof from[at], .msg_iov = &pieces[at], .msg_iovlen = 1};
    }
    int count = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
    for (int at = 0; at < count; at++) {
      unsigned length = messages[at].msg_len;
      bytes[at][2] |= 0x80;
      bytes[at][7] = 1;
      memcpy(bytes[at] + length, record, sizeof record);
      pieces[at].iov_len = length + sizeof record;
    }
    for (int sent = 0; sent < count;) {
      int now = sendmmsg(fd, messages + sent, count - sent, 0);
      if (now <= 0) break;
      sent += now;
    }
  }
}
