package server

import (
	"fmt"
	goruntime "runtime"
	"strings"
	"time"
)

// Mode is what a run of the proxy is for (Envoy's --mode).
type Mode string

const (
	Serve    Mode = "serve"     // the default
	Validate Mode = "validate"  // check the configuration and exit
	InitOnly Mode = "init_only" // start everything, serve nothing, exit
)

// Options are the proxy's command line, with Envoy's names.
type Options struct {
	ConfigPath       string
	ConfigYAML       string
	Mode             Mode
	Concurrency      int // workers; 0 is one for each CPU
	LogLevel         string
	ServiceNode      string
	ServiceCluster   string
	ServiceZone      string
	DrainTime        time.Duration
	ParentShutdown   time.Duration
	DrainStrategy    string // "gradual" or "immediate"
	BaseID           uint
	AdminAddressPath string
	FlushInterval    time.Duration // of access logs
	AgentSocket      string        // where the node agent hands over its sockets; "" without an agent
	// The listeners, by name, that take what the agent has caught.
	OutboundListener, InboundListener string
	// DNSListener is the one, by name, whose tables the pods' DNS knows.
	DNSListener string
}

// check fills in defaults and refuses what makes no sense.
func (o *Options) check() error {
	switch o.Mode {
	case "":
		o.Mode = Serve
	case Serve, Validate, InitOnly:
	default:
		return fmt.Errorf("--mode %s: there are serve, validate and init_only", o.Mode)
	}
	switch o.DrainStrategy {
	case "", "gradual", "immediate":
	default:
		return fmt.Errorf("--drain-strategy %s: there are gradual and immediate", o.DrainStrategy)
	}
	if o.Concurrency <= 0 {
		o.Concurrency = goruntime.NumCPU()
	}
	if _, err := parseLevel(o.LogLevel); err != nil {
		return err
	}
	return nil
}

// name is how errors call the configuration.
func (o *Options) name() string {
	if o.ConfigPath != "" {
		return o.ConfigPath
	}
	return "--config-yaml"
}

var levels = []string{"trace", "debug", "info", "warning", "error", "critical", "off"}

func levelNames() string { return strings.Join(levels, ", ") }
