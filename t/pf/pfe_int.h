/* SPDX-License-Identifier: ISC */
/*
 * Inside the evaluator: rules as they were read, and the reader's tools.  All
 * memory belongs to the evaluator and is freed with it.
 */
#ifndef VMMD_T_PFE_INT_H
#define VMMD_T_PFE_INT_H

#include "pfe.h"

#define PFE_NAME	64	/* tags and labels, with the 0 */
#define PFE_TABLE	32
#define PFE_PATH	256

struct pfe_net {
	uint8_t		af;
	uint8_t		prefix;
	uint8_t		addr[16];
};

struct pfe_if {
	struct pfe_if	*next;
	char		name[16];
	unsigned	rdomain;
	char		groups[8][16];
	unsigned	ngroups;
	struct pfe_net	nets[8];
	unsigned	nnets;
};

struct pfe_rt {
	struct pfe_rt	*next;
	struct pfe_net	net;
	char		ifname[16];
};

/* Which addresses of an interface are meant. */
enum pfe_mod { MOD_ADDR, MOD_NETWORK, MOD_BROADCAST, MOD_PEER };

enum pfe_kind {
	HOST_ANY, HOST_NET, HOST_RANGE, HOST_DYNAMIC, HOST_TABLE, HOST_NOROUTE,
	HOST_URPF,
};

struct pfe_host {
	struct pfe_host	*next;
	bool		not;
	enum pfe_kind	kind;
	struct pfe_net	net;		/* HOST_NET; of a range its start */
	uint8_t		end[16];	/* HOST_RANGE */
	char		name[PFE_TABLE];	/* table or interface */
	enum pfe_mod	mod;		/* HOST_DYNAMIC */
	bool		first;		/* ... without aliases */
	int		prefix;		/* ... or -1 */
};

enum pfe_op { OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_IN, OP_INSIDE,
    OP_OUTSIDE };

struct pfe_port {
	struct pfe_port	*next;
	enum pfe_op	op;
	uint16_t	lo;
	uint16_t	hi;
};

struct pfe_onif {
	struct pfe_onif	*next;
	bool		not;
	int		rdomain;	/* or -1: by name */
	char		name[16];
};

struct pfe_proto {
	struct pfe_proto	*next;
	uint8_t			proto;
};

struct pfe_icmp {
	struct pfe_icmp	*next;
	uint8_t		proto;
	int		type;
	int		code;		/* or -1: all */
};

enum pfe_pick { PICK_NONE, PICK_BITMASK, PICK_RANDOM, PICK_HASH, PICK_ROUND,
    PICK_LEAST };

struct pfe_pool {
	struct pfe_host	*hosts;
	bool		ports;		/* ports are given */
	uint16_t	lo;
	uint16_t	hi;
	bool		star;		/* "lo:*": the range is moved there */
	enum pfe_pick	pick;
	bool		static_port;
	bool		sticky;
	bool		binat;
	unsigned	turn;		/* of round-robin */
	uint16_t	proxy;		/* last port given out */
};

enum pfe_action { ACT_PASS, ACT_BLOCK, ACT_MATCH, ACT_ANCHOR };
enum pfe_keep { KEEP_NONE, KEEP_STATE, KEEP_MODULATE, KEEP_SYNPROXY };

struct pfe_keepopt {
	bool		floating;
	bool		bound;
	bool		sloppy;
	bool		overload;
	unsigned	max;
	unsigned	src_nodes;
	unsigned	src_states;
	unsigned	src_conn;
	unsigned	conn_rate;
	unsigned	conn_secs;
	int		track;		/* 0 no, 1 yes, 2 rule, 3 global */
	unsigned	seen;		/* options given once each */
};

struct pfe_rule {
	struct pfe_rule	*next;
	int		line;
	enum pfe_action	action;
	enum pfe_how	how;
	int		dir;		/* 0: both */
	bool		log;
	bool		quick;
	struct pfe_onif	*on;
	uint8_t		af;		/* 0, 4, 6 */
	struct pfe_proto *protos;
	struct pfe_host	*from, *to;	/* NULL: any */
	struct pfe_port	*sport, *dport;
	struct pfe_icmp	*icmp;
	bool		has_flags;	/* "flags" was written */
	uint8_t		flags, flagset;
	bool		has_keep;
	enum pfe_keep	keep;
	struct pfe_keepopt keepopt;
	bool		fragment;
	bool		allow_opts;
	bool		once;
	bool		spent;		/* a rule of once that matched */
	char		label[PFE_NAME];
	char		tag[PFE_NAME];
	char		tagged[PFE_NAME];
	bool		not_tagged;
	struct pfe_onif	*received;
	struct pfe_pool	*nat, *rdr;
	bool		scrub_v4;	/* no-df or random-id */
	unsigned	seen;		/* options given once each */
	char		path[PFE_PATH];	/* of an anchor rule, absolute */
	bool		children;	/* ... "path/(all)" */
};

struct pfe_table {
	struct pfe_table *next;
	char		name[PFE_TABLE];
	struct pfe_host	*hosts;		/* HOST_NET only */
	bool		defined;
	int		line;
};

struct pfe_anchor {
	struct pfe_anchor *next;
	char		path[PFE_PATH];
	char		owner[PFE_PATH];	/* whose text it came with */
	struct pfe_rule	*rules, **tail;
	struct pfe_table *tables;
};

struct pfe_state;
struct pfe_block;

struct pfe_options {
	bool		block_return;
	bool		if_bound;
	bool		no_reassemble;
	struct pfe_onif	*skip;
	struct pfe_keepopt *defaults;
};

struct pfe {
	struct pfe_block *blocks;
	struct pfe_if	*ifs;
	struct pfe_rt	*routes;
	struct pfe_anchor *anchors;
	struct pfe_state *states;
	struct pfe_options opt;
	unsigned	anonymous;	/* anchors without a name */
};

void *pfe_alloc(struct pfe *pf, size_t size);

/* Reader: tokens. */
enum pfe_tok { T_EOF, T_EOL, T_WORD, T_KEY, T_NUM, T_SYM };

struct pfe_macro {
	struct pfe_macro *next;
	char		name[PFE_NAME];
	char		*value;
};

struct pfe_read {
	struct pfe	*pf;
	const char	*pos;
	const char	*expand;	/* rest of a macro's value */
	int		line;
	struct pfe_macro *macros;
	enum pfe_tok	kind;		/* the token to come */
	char		text[256];
	unsigned long	num;
	int		tokline;
	bool		failed;
	char		*err;
	size_t		size;
	struct pfe_anchor *anchors;	/* new ones, in place at the end */
	struct pfe_anchor *here;
	struct pfe_options opt;
	unsigned	depth;		/* of anchors in braces */
};

void pfe_fail(struct pfe_read *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void pfe_unexpected(struct pfe_read *r, const char *wanted);
void pfe_next(struct pfe_read *r);
bool pfe_key(struct pfe_read *r, const char *key);	/* taken if there */
bool pfe_sym(struct pfe_read *r, const char *sym);
bool pfe_at_key(const struct pfe_read *r, const char *key);
bool pfe_at_sym(const struct pfe_read *r, const char *sym);
void pfe_want_sym(struct pfe_read *r, const char *sym);
void pfe_want_key(struct pfe_read *r, const char *key);
unsigned long pfe_want_num(struct pfe_read *r, const char *what,
    unsigned long max);
void pfe_want_word(struct pfe_read *r, const char *what, char *to,
    size_t size);
/* One item, or several in braces. */
void pfe_list(struct pfe_read *r, void (*item)(struct pfe_read *, void *),
    void *arg);
bool pfe_reserved(const char *word);
void pfe_read_macro(struct pfe_read *r, const char *name);

/* Names of protocols, services, ICMP types; -1 if unknown. */
int pfe_proto(const char *name);
int pfe_service(const char *name);
int pfe_icmp_type(int proto, const char *name);
int pfe_icmp_code(int proto, int type, const char *name);

/* Addresses and hosts. */
int pfe_net_parse(struct pfe_net *n, const char *addr, int prefix);
bool pfe_net_has(const struct pfe_net *n, const uint8_t addr[16]);
const struct pfe_if *pfe_if_find(const struct pfe *pf, const char *name);
bool pfe_if_is(const struct pfe *pf, const char *ifname, const char *what);
unsigned pfe_if_nets(const struct pfe *pf, const char *what, enum pfe_mod mod,
    bool first, struct pfe_net *to, unsigned max);
void pfe_read_host(struct pfe_read *r, struct pfe_host ***tail);
void pfe_read_hosts(struct pfe_read *r, struct pfe_host **list);
void pfe_read_table(struct pfe_read *r);
struct pfe_table *pfe_table_find(const struct pfe_read *r, const char *path,
    const char *name);

/* Rules. */
void pfe_read_onif(struct pfe_read *r, void *tail);
void pfe_read_on(struct pfe_read *r, struct pfe_onif **list);
void pfe_read_ports(struct pfe_read *r, struct pfe_port **list);
bool pfe_read_port(struct pfe_read *r, bool star, uint16_t *lo, uint16_t *hi,
    bool *range, bool *open);
void pfe_read_rule(struct pfe_read *r);
void pfe_read_head(struct pfe_read *r, struct pfe_rule *rule);
void pfe_read_opts(struct pfe_read *r, struct pfe_rule *rule);
void pfe_read_keepopts(struct pfe_read *r, struct pfe_keepopt *k, bool paren);
void pfe_read_pool(struct pfe_read *r, struct pfe_rule *rule, bool rdr,
    bool binat);
void pfe_check_rule(struct pfe_read *r, struct pfe_rule *rule);
void pfe_add_rule(struct pfe_read *r, struct pfe_rule *rule);
void pfe_read_set(struct pfe_read *r);
void pfe_read_antispoof(struct pfe_read *r);
void pfe_read_anchor(struct pfe_read *r);
struct pfe_anchor *pfe_anchor_add(struct pfe_read *r, const char *path);
uint8_t pfe_hosts_af(const struct pfe_host *h);

/* Evaluation. */
struct pfe_run {
	struct pfe		*pf;
	const struct pfe_packet	*pkt;
	struct pfe_flow		flow;	/* as translated so far */
	char			tag[PFE_NAME];
	bool			log;
	const struct pfe_rule	*last;
	const struct pfe_anchor	*where;
	bool			bad;	/* a pool had no address */
};

const struct pfe_anchor *pfe_anchor_find(const struct pfe *pf,
    const char *path);
bool pfe_rule_matches(struct pfe_run *run, const struct pfe_anchor *a,
    const struct pfe_rule *r);
bool pfe_onif_has(const struct pfe *pf, const struct pfe_onif *list,
    const char *ifname);
void pfe_translate(struct pfe_run *run, const struct pfe_rule *r);

bool pfe_is_error(const struct pfe_packet *pkt);
bool pfe_state_pass(struct pfe *pf, struct pfe_packet *pkt,
    struct pfe_verdict *v);
bool pfe_state_make(struct pfe_run *run, struct pfe_packet *pkt);

#endif /* VMMD_T_PFE_INT_H */
