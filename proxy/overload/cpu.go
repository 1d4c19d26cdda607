package overload

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// damping is how much a new measurement counts, as in Envoy.
const damping = 0.05

// cpu measures how busy the CPUs are: work and total only grow.
type cpu struct {
	times       func() (work, total float64, err error)
	work, total float64
	utilization float64
	begun       bool
}

// pressure is how busy they have been, smoothed.
func (c *cpu) pressure() (float64, error) {
	work, total, err := c.times()
	if err != nil {
		return 0, err
	}
	doing, passed := work-c.work, total-c.total
	c.work, c.total = work, total
	switch {
	case !c.begun:
		c.begun = true
		return 0, nil
	case doing < 0 || passed <= 0:
		return 0, fmt.Errorf("the CPU times went from %v back by %v, %v", total, doing, passed)
	}
	c.utilization = min(doing/passed*damping+c.utilization*(1-damping), 1)
	return c.utilization, nil
}

// hostTimes are those of the machine, by /proc/stat (proc_stat(5)).
func hostTimes() (work, total float64, err error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	var user, nice, system, idle float64
	if _, err := fmt.Sscanf(line, "cpu %f %f %f %f", &user, &nice, &system, &idle); err != nil {
		return 0, 0, fmt.Errorf("/proc/stat: %w", err)
	}
	return user + nice + system, user + nice + system + idle, nil
}

// containerTimes are those of the process's cgroup (version 2), whose total is
// what it may use.
func containerTimes() (work, total float64, err error) {
	b, err := os.ReadFile("/sys/fs/cgroup/cpu.stat")
	if err != nil {
		return 0, 0, err
	}
	_, rest, found := strings.Cut(string(b), "usage_usec ")
	usage, _, _ := strings.Cut(rest, "\n")
	if work, err = strconv.ParseFloat(usage, 64); !found || err != nil {
		return 0, 0, fmt.Errorf("cpu.stat has no usage_usec")
	}
	cpus := float64(runtime.NumCPU())
	if b, err := os.ReadFile("/sys/fs/cgroup/cpu.max"); err == nil {
		var quota, period float64
		if _, err := fmt.Sscanf(string(b), "%f %f", &quota, &period); err == nil && period > 0 { // not "max"
			cpus = min(cpus, quota/period)
		}
	}
	return work, float64(time.Now().UnixMicro()) * cpus, nil
}
