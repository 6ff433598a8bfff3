/* SPDX-License-Identifier: ISC */
/*
 * Changes of the configuration while the firewall's rules are loaded, by a
 * thread (pthread): what is asked meanwhile waits, whoever asks may go away,
 * and what cannot be loaded or kept changes nothing.
 */
#include "ctlrig.h"
#include "fakefw.h"
#include "testhost.h"
#include "vmm/firewall.h"
#include "vmm/network.h"
#include "vmm/statedir.h"
#include "vmm/version.h"

#define SWITCH	"[switch lan]\naddress = 10.0.0.1/24\n"
#define GUEST_A	"[vm a]\nkernel = /k\nautostart = no\nnic = lan"

/* The network, of which there is nothing but the firewall. */
struct network {
	struct firewall		*firewall;
	const struct config	*applied, *adopted;
	unsigned		 times;
};

static struct ctlrig rig;
static struct network net;
static char dir[64];

int
network_apply(struct network *n, const struct config *c, char *err,
    size_t errlen)
{
	(void)err;
	(void)errlen;
	n->applied = n->adopted = c;
	n->times++;
	return 0;
}

void
network_adopt(struct network *n, const struct config *c)
{
	n->adopted = c;
}

struct firewall *
network_firewall(const struct network *n)
{
	return n->firewall;
}

struct switches *
network_switches(const struct network *n)
{
	(void)n;
	return NULL;
}

static const char *
config(const char *rest)
{
	static char text[1024];

	snprintf(text, sizeof(text), "[daemon]\nname = lab\nstate = %s\n"
	    SWITCH GUEST_A "%s\n", dir, rest);
	return text;
}

static void
setup(void)
{
	struct firewall_env env;
	char err[64];

	snprintf(dir, sizeof(dir), "/tmp/check_change.%d", (int)getpid());
	rig_open(&rig, config(""));
	env = (struct firewall_env){
		.loop = rig.loop, .conf = &rig.conf,
		.guests = rig.env.guests,
	};
	net.firewall = firewall_create("lab", &env);
	vm_table_set_network(rig.env.guests, &net);
	ck_assert_int_eq(firewall_load(net.firewall, err, sizeof(err)), 0);
	rig_read(&rig);
}

static void
teardown(void)
{
	char command[128];

	fakefw_let_go();
	firewall_finish(net.firewall);
	rig_disconnect(&rig);
	firewall_destroy(net.firewall);
	net.firewall = NULL;
	rig_connect(&rig, 0, 0);
	rig_close(&rig);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static bool
has(const char *what)
{
	return strstr(fakefw.loaded, what) != NULL;
}

/* Asks for something that has rules loaded, and gets no answer yet. */
static void
ask_held(const char *line)
{
	fakefw_hold();
	ck_assert_str_eq(rig_ask(&rig, line), "");
	fakefw_wait_held();
}

/* What comes after all. */
static const char *
let_go(void)
{
	fakefw_let_go();
	firewall_finish(net.firewall);
	return rig_read(&rig);
}

START_TEST(reload_waits)
{
	const struct config *old = rig.conf;
	char all[1024];

	rig_put_file(rig.path, config(",allow-in=tcp 22"));
	ask_held("reload");
	ck_assert_ptr_eq(rig.conf, old);
	/* Nobody is told of half a change, or begins another. */
	ck_assert_str_eq(rig_ask(&rig, "log"), "");
	ck_assert_str_eq(rig_ask(&rig, "@1 reload"), "");
	snprintf(all, sizeof(all), "%s", let_go());
	firewall_finish(net.firewall);
	strcat(all, rig_read(&rig));
	ck_assert_str_eq(all, "change vm=a what=changed "
	    "keys=\"nic lan -> lan,allow-in=tcp 22\"\n"
	    "ok\nlog level=error\nok\n@1 ok\n");
	ck_assert(has("tcp port 22"));
}
END_TEST

/* As in: echo reload | nc -N. */
START_TEST(peer_shuts_down)
{
	rig_put_file(rig.path, config(",allow-in=tcp 22"));
	ask_held("reload");
	ck_assert_int_eq(write(rig.peer, "log\n", 4), 4);
	ck_assert_int_eq(shutdown(rig.peer, SHUT_WR), 0);
	rig_turn(&rig, 8);
	ck_assert(!rig.over);
	ck_assert_ptr_nonnull(strstr(let_go(), "ok\nlog level=error\nok\n"));
	rig_turn(&rig, 8);
	ck_assert(rig.over);
}
END_TEST

/* It is done all the same. */
START_TEST(client_goes)
{
	rig_put_file(rig.path, config(",allow-in=tcp 22"));
	ask_held("reload");
	rig_disconnect(&rig);
	rig_connect(&rig, 0, 0);
	ck_assert_str_eq(rig_ask(&rig, "log"), "vmmd 1 lab "
	    VMMD_VERSION "\n");
	ck_assert_str_eq(let_go(), "log level=error\nok\n");
	ck_assert(has("tcp port 22"));
	ck_assert_ptr_eq(net.adopted, rig.conf);
}
END_TEST

START_TEST(cannot_be_loaded)
{
	const struct config *old = rig.conf;
	unsigned times = net.times;

	/* The error is expected. */
	close(STDERR_FILENO);
	rig_put_file(rig.path, config(",allow-in=tcp 22"));
	fakefw.load_error = -EIO;
	ask_held("reload");
	ck_assert_ptr_nonnull(strstr(let_go(),
	    "error message=\"cannot load\"\nerr invalid /tmp/"));
	ck_assert_ptr_eq(rig.conf, old);
	ck_assert_ptr_eq(net.applied, old);
	ck_assert_ptr_eq(net.adopted, old);
	ck_assert_uint_eq(net.times, times + 2);
	ck_assert(!has("tcp port 22"));
	ck_assert_str_eq(rig_ask(&rig, "log"), "log level=error\nok\n");
	fakefw.load_error = 0;
	ask_held("reload");
	ck_assert_ptr_nonnull(strstr(let_go(), "ok\n"));
	ck_assert(has("tcp port 22"));
}
END_TEST

/* Its file comes last, once there are its rules. */
START_TEST(define)
{
	char *file = statedir_path(dir, "b");

	ask_held("define b kernel=/k autostart=no nic=lan,allow-in=any");
	ck_assert_int_ne(access(file, F_OK), 0);
	ck_assert_ptr_null(vm_table_find(rig.env.guests, "b"));
	ck_assert_str_eq(let_go(), "change vm=b what=added\nok\n");
	ck_assert_int_eq(access(file, F_OK), 0);
	ck_assert_ptr_nonnull(vm_table_find(rig.env.guests, "b"));
	ck_assert(has("vm b nic 0: in: pass"));
	free(file);
}
END_TEST

/* Rules of what cannot be kept go again. */
START_TEST(cannot_be_kept)
{
	const struct config *old = rig.conf;

	rig_put_file(dir, "no directory");
	ask_held("define b kernel=/k autostart=no nic=lan,allow-in=any");
	ck_assert_ptr_nonnull(strstr(let_go(),
	    "err failed vm b: cannot be kept: "));
	ck_assert_ptr_eq(rig.conf, old);
	ck_assert_ptr_eq(net.adopted, old);
	firewall_finish(net.firewall);
	ck_assert(!has("vm b "));
	ck_assert(has("vm a "));
	ck_assert_ptr_null(vm_table_find(rig.env.guests, "b"));
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("change");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, reload_waits);
	tcase_add_test(tc, peer_shuts_down);
	tcase_add_test(tc, client_goes);
	tcase_add_test(tc, cannot_be_loaded);
	tcase_add_test(tc, define);
	tcase_add_test(tc, cannot_be_kept);
	return test_main("change", tc);
}
