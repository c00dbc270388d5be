"""How much memory is left: the least of what the machine, the group and the process have."""

from __future__ import annotations

import pytest

from mritk.machine.host_memory import HOST_SHARE, available_bytes, fits_in_memory

resource = pytest.importorskip("resource")

MIB = 2**20


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Lay out ``proc`` and ``sys`` of a machine with 1000 MiB available and no limit."""
    limits = {}
    monkeypatch.setattr(
        resource, "getrlimit", lambda kind: (limits.get(kind, resource.RLIM_INFINITY),) * 2
    )

    def lay_out(available=1000, files=None, **changed):
        limits.update({getattr(resource, name): MIB * mib for name, mib in changed.items()})
        laid = {
            "proc/meminfo": f"MemTotal: 9999999 kB\nMemAvailable: {available * 1024} kB\n",
            "proc/self/status": f"Name:\tpy\nVmSize:\t{300 * 1024} kB\nVmData:\t{100 * 1024} kB\n",
            "proc/self/cgroup": "0::/\n",
            **(files or {}),
        }
        for name, text in laid.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    return lay_out


def group(path, limit, used, *, cached=0):
    """Write the files of a group of version 2, in MiB."""
    limit = limit if limit == "max" else limit * MIB
    return {
        f"sys/fs/cgroup/{path}memory.max": f"{limit}\n",
        f"sys/fs/cgroup/{path}memory.current": f"{used * MIB}\n",
        f"sys/fs/cgroup/{path}memory.stat": f"anon 1\ninactive_file {cached * MIB}\n",
    }


def test_without_limits_it_is_what_the_machine_has(machine):
    assert available_bytes(machine()) == 1000 * MIB


def test_this_machine_has_some_memory():
    assert available_bytes() > 0


@pytest.mark.parametrize(
    ("limits", "left"),
    [
        ({"RLIMIT_DATA": 150}, 50),
        ({"RLIMIT_AS": 340}, 40),
        ({"RLIMIT_DATA": 150, "RLIMIT_AS": 320}, 20),
        ({"RLIMIT_DATA": 50}, 0),
        ({"RLIMIT_DATA": 5000}, 1000),
    ],
)
def test_limits_of_the_process_count_what_it_has_taken_already(machine, limits, left):
    assert available_bytes(machine(**limits)) == left * MIB


def test_a_control_group_counts_and_files_in_memory_are_no_load(machine):
    files = group("", 600, 500, cached=50)
    assert available_bytes(machine(files=files)) == 150 * MIB


def test_a_group_without_a_limit_is_as_if_there_were_none(machine):
    assert available_bytes(machine(files=group("", "max", 500))) == 1000 * MIB


def test_the_tightest_of_the_groups_above_counts(machine):
    files = {
        "proc/self/cgroup": "0::/batch/job\n",
        **group("batch/job/", 900, 100),
        **group("batch/", 500, 300),
    }
    assert available_bytes(machine(files=files)) == 200 * MIB


def test_a_path_of_the_host_inside_a_container_leads_to_the_top(machine):
    files = {"proc/self/cgroup": "0::/system.slice/docker-abc\n", **group("", 400, 100)}
    assert available_bytes(machine(files=files)) == 300 * MIB


def test_version_1_counts_the_files_of_groups_below(machine):
    folder = "sys/fs/cgroup/memory/job/"
    files = {
        "proc/self/cgroup": "4:cpu,cpuacct:/\n3:memory:/job\n1:name=systemd:/job\n",
        f"{folder}memory.limit_in_bytes": f"{400 * MIB}\n",
        f"{folder}memory.usage_in_bytes": f"{350 * MIB}\n",
        f"{folder}memory.stat": f"active_file 7\ntotal_active_file {30 * MIB}\n",
    }
    assert available_bytes(machine(files=files)) == 80 * MIB


def test_a_system_without_proc_tells_by_sysconf_or_not_at_all(tmp_path, monkeypatch):
    pages = {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}
    # Unknown names raise ValueError in os.sysconf.
    monkeypatch.setattr("os.sysconf", lambda name: pages[name] if name in pages else int("?"))
    assert available_bytes(tmp_path) == 4096000
    pages.clear()
    assert available_bytes(tmp_path) is None


def test_a_share_of_it_is_for_one_part_of_the_data(monkeypatch):
    monkeypatch.setattr("mritk.machine.host_memory.available_bytes", lambda: 1000)
    assert fits_in_memory(int(1000 * HOST_SHARE))
    assert not fits_in_memory(int(1000 * HOST_SHARE) + 1)
    monkeypatch.setattr("mritk.machine.host_memory.available_bytes", lambda: None)
    assert fits_in_memory(10**18)
