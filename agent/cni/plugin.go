package cni

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"

	"github.com/weirproxy/weir/agent"
	"github.com/weirproxy/weir/internal/buildinfo"
)

// Binary is the plugin's name: that of its file, and "type" in configurations.
const Binary = "weir-cni"

// config is the plugin's entry in a network configuration list.
type config struct {
	types.NetConf
	// RunDir is where the agent's control socket is.
	RunDir string `json:"run_dir,omitempty"`
	// OnError is what an ADD does when the pod cannot be caught: "fail" (the
	// default) or "allow".
	OnError string `json:"on_error,omitempty"`
	// ExcludeNamespaces are Kubernetes namespaces whose pods are left alone.
	ExcludeNamespaces []string `json:"exclude_namespaces,omitempty"`
}

// podArgs are CNI_ARGS as the kubelet's runtimes fill them in.
type podArgs struct {
	types.CommonArgs
	K8S_POD_NAMESPACE, K8S_POD_NAME, K8S_POD_UID types.UnmarshallableString //nolint:revive // the names are CNI_ARGS'
}

// Main runs the plugin: it reads the environment and standard input, writes
// standard output and ends the process when it fails.
func Main() {
	skel.PluginMainFuncs(skel.CNIFuncs{Add: add, Del: del, Check: check}, version.PluginSupports("0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"), Binary+" "+buildinfo.Version())
}

// timeout is less than the runtimes' own.
const timeout = 25 * time.Second

func add(args *skel.CmdArgs) error {
	c, err := parse(args.StdinData)
	if err != nil {
		return err
	}
	if c.PrevResult == nil {
		return errors.New(Binary + " must be chained behind the plugin that gives pods their addresses; it is the first of its list")
	}
	pod, err := podOf(args)
	if err != nil {
		return err
	}
	if pod.Name != "" && !slices.Contains(c.ExcludeNamespaces, pod.Namespace) {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		if _, err := c.client().PodStarting(ctx, pod); err != nil && c.OnError != "allow" {
			return fmt.Errorf("pod %s/%s: %w", pod.Namespace, pod.Name, err)
		}
	}
	return types.PrintResult(c.PrevResult, c.CNIVersion)
}

// del never fails: the pod goes whatever the agent says, and an agent that is
// not there now sees so itself.
func del(args *skel.CmdArgs) error {
	c, err := parse(args.StdinData)
	if err != nil {
		return err
	}
	if args.Netns == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.client().PodStopped(ctx, agent.Starting{Netns: args.Netns})
	return nil
}

func check(args *skel.CmdArgs) error {
	_, err := parse(args.StdinData)
	return err
}

func parse(text []byte) (*config, error) {
	c := &config{RunDir: agent.DefaultRunDir}
	if err := json.Unmarshal(text, c); err != nil {
		return nil, fmt.Errorf("network configuration: %w", err)
	}
	if c.OnError != "" && c.OnError != "fail" && c.OnError != "allow" {
		return nil, fmt.Errorf("on_error: %q is neither fail nor allow", c.OnError)
	}
	if c.RawPrevResult == nil {
		return c, nil
	}
	if err := version.ParsePrevResult(&c.NetConf); err != nil {
		return nil, fmt.Errorf("prevResult: %w", err)
	}
	_, err := current.NewResultFromResult(c.PrevResult)
	return c, err
}

func (c *config) client() *agent.Client {
	o := agent.DefaultOptions()
	o.RunDir = c.RunDir
	return agent.NewClient(o)
}

// podOf is the pod that is set up; a container that Kubernetes does not know
// has no name.
func podOf(args *skel.CmdArgs) (agent.Starting, error) {
	var a podArgs
	a.IgnoreUnknown = true
	if err := types.LoadArgs(args.Args, &a); err != nil {
		return agent.Starting{}, fmt.Errorf("CNI_ARGS: %w", err)
	}
	return agent.Starting{
		Namespace: string(a.K8S_POD_NAMESPACE), Name: string(a.K8S_POD_NAME), UID: string(a.K8S_POD_UID), Netns: args.Netns,
	}, nil
}
