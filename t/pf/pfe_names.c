/* SPDX-License-Identifier: ISC */
/*
 * Names in rules.  Protocols and services are those of OpenBSD's /etc/protocols
 * and /etc/services that rules about guests are likely to have; ICMP's are all
 * that pfctl(8) knows (icmp(4), icmp6(4)).
 */
#include <stdlib.h>
#include <string.h>

#include "pfe_int.h"

struct named {
	const char	*name;
	int		value;
};

struct code {
	int		type;
	const char	*name;
	int		value;
};

static int
look(const struct named *list, size_t n, const char *name)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(list[i].name, name) == 0)
			return list[i].value;
	return -1;
}

#define LOOK(list, name) look(list, sizeof(list) / sizeof((list)[0]), name)

int
pfe_proto(const char *name)
{
	static const struct named protos[] = {
		{ "icmp", 1 }, { "igmp", 2 }, { "ipencap", 4 }, { "tcp", 6 },
		{ "udp", 17 }, { "ipv6", 41 }, { "gre", 47 }, { "esp", 50 },
		{ "ah", 51 }, { "ipv6-icmp", 58 }, { "icmp6", 58 },
		{ "ospf", 89 }, { "carp", 112 }, { "sctp", 132 },
	};

	return LOOK(protos, name);
}

int
pfe_service(const char *name)
{
	static const struct named services[] = {
		{ "ftp", 21 }, { "ssh", 22 }, { "telnet", 23 }, { "smtp", 25 },
		{ "time", 37 }, { "domain", 53 }, { "bootps", 67 },
		{ "bootpc", 68 }, { "tftp", 69 }, { "www", 80 }, { "http", 80 },
		{ "pop3", 110 }, { "auth", 113 }, { "ntp", 123 },
		{ "imap", 143 }, { "snmp", 161 }, { "bgp", 179 },
		{ "ldap", 389 }, { "https", 443 }, { "isakmp", 500 },
		{ "syslog", 514 }, { "dhcpv6-client", 546 },
		{ "dhcpv6-server", 547 }, { "submission", 587 },
		{ "ldaps", 636 }, { "imaps", 993 }, { "pop3s", 995 },
		{ "mysql", 3306 }, { "postgresql", 5432 },
	};

	return LOOK(services, name);
}

int
pfe_icmp_type(int proto, const char *name)
{
	static const struct named v4[] = {
		{ "echorep", 0 }, { "unreach", 3 }, { "squench", 4 },
		{ "redir", 5 }, { "althost", 6 }, { "echoreq", 8 },
		{ "routeradv", 9 }, { "routersol", 10 }, { "timex", 11 },
		{ "paramprob", 12 }, { "timereq", 13 }, { "timerep", 14 },
		{ "inforeq", 15 }, { "inforep", 16 }, { "maskreq", 17 },
		{ "maskrep", 18 }, { "trace", 30 }, { "dataconv", 31 },
		{ "mobredir", 32 }, { "ipv6-where", 33 }, { "ipv6-here", 34 },
		{ "mobregreq", 35 }, { "mobregrep", 36 }, { "skip", 39 },
		{ "photuris", 40 },
	};
	static const struct named v6[] = {
		{ "unreach", 1 }, { "toobig", 2 }, { "timex", 3 },
		{ "paramprob", 4 }, { "echoreq", 128 }, { "echorep", 129 },
		{ "groupqry", 130 }, { "listqry", 130 }, { "grouprep", 131 },
		{ "listenrep", 131 }, { "groupterm", 132 },
		{ "listendone", 132 }, { "routersol", 133 },
		{ "routeradv", 134 }, { "neighbrsol", 135 },
		{ "neighbradv", 136 }, { "redir", 137 }, { "routrrenum", 138 },
		{ "wrureq", 139 }, { "fqdnreq", 139 }, { "niqry", 139 },
		{ "wrurep", 140 }, { "fqdnrep", 140 }, { "nirep", 140 },
		{ "mtraceresp", 200 }, { "mtrace", 201 },
	};

	return proto == PFE_ICMP ? LOOK(v4, name) : LOOK(v6, name);
}

int
pfe_icmp_code(int proto, int type, const char *name)
{
	static const struct code v4[] = {
		{ 3, "net-unr", 0 }, { 3, "host-unr", 1 },
		{ 3, "proto-unr", 2 }, { 3, "port-unr", 3 },
		{ 3, "needfrag", 4 }, { 3, "srcfail", 5 }, { 3, "net-unk", 6 },
		{ 3, "host-unk", 7 }, { 3, "isolate", 8 },
		{ 3, "net-prohib", 9 }, { 3, "host-prohib", 10 },
		{ 3, "net-tos", 11 }, { 3, "host-tos", 12 },
		{ 3, "filter-prohib", 13 }, { 3, "host-preced", 14 },
		{ 3, "cutoff-preced", 15 }, { 5, "redir-net", 0 },
		{ 5, "redir-host", 1 }, { 5, "redir-tos-net", 2 },
		{ 5, "redir-tos-host", 3 }, { 9, "normal-adv", 0 },
		{ 9, "common-adv", 16 }, { 11, "transit", 0 },
		{ 11, "reassemb", 1 }, { 12, "badhead", 0 },
		{ 12, "optmiss", 1 }, { 12, "badlen", 2 },
	};
	static const struct code v6[] = {
		{ 1, "noroute-unr", 0 }, { 1, "admin-unr", 1 },
		{ 1, "beyond-unr", 2 }, { 1, "addr-unr", 3 },
		{ 1, "port-unr", 4 }, { 3, "transit", 0 },
		{ 3, "reassemb", 1 }, { 4, "badhead", 0 }, { 4, "nxthdr", 1 },
		{ 137, "redironlink", 0 }, { 137, "redirrouter", 1 },
	};
	const struct code *list = proto == PFE_ICMP ? v4 : v6;
	size_t i, n = proto == PFE_ICMP ? sizeof(v4) / sizeof(v4[0]) :
	    sizeof(v6) / sizeof(v6[0]);

	for (i = 0; i < n; i++)
		if (list[i].type == type && strcmp(list[i].name, name) == 0)
			return list[i].value;
	return -1;
}
