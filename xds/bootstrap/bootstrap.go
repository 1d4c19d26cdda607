package bootstrap

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/weirproxy/weir/xds/decode"
	"github.com/weirproxy/weir/xds/protos"
)

// Options are the flags that make a bootstrap.
type Options struct {
	ConfigPath     string // -c, --config-path: a JSON or YAML file
	ConfigYAML     string // --config-yaml: merged over the file
	ServiceNode    string // --service-node: overrides node.id
	ServiceCluster string // --service-cluster: overrides node.cluster
}

// Load reads, merges and validates the bootstrap.
func Load(o Options) (*bootstrapv3.Bootstrap, error) {
	if o.ConfigPath == "" && o.ConfigYAML == "" {
		return nil, errors.New("no configuration: give --config-path or --config-yaml")
	}
	b := &bootstrapv3.Bootstrap{}
	if o.ConfigPath != "" {
		if err := readFile(o.ConfigPath, b); err != nil {
			return nil, err
		}
	}
	if o.ConfigYAML != "" {
		if err := read("--config-yaml", []byte(o.ConfigYAML), decode.YAML, b); err != nil {
			return nil, err
		}
	}
	overrideNode(b, o)
	if err := protos.Validate("", b); err != nil {
		if o.ConfigPath == "" {
			return nil, fmt.Errorf("--config-yaml: %w", err)
		}
		return nil, fmt.Errorf("%s: %w", o.ConfigPath, err)
	}
	return b, nil
}

func readFile(path string, b *bootstrapv3.Bootstrap) error {
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".pb", ".pb_text", ".textproto":
		return fmt.Errorf("%s: weir does not read bootstraps in protobuf's %s format, only JSON and YAML", path, ext)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	return read(path, data, decode.FormatOf(path, data), b)
}

func read(name string, data []byte, f decode.Format, b *bootstrapv3.Bootstrap) error {
	err := decode.Unmarshal(data, f, b)
	var de *decode.Error
	if errors.As(err, &de) {
		return de.In(name)
	}
	return err
}

func overrideNode(b *bootstrapv3.Bootstrap, o Options) {
	if o.ServiceNode == "" && o.ServiceCluster == "" {
		return
	}
	if b.Node == nil {
		b.Node = &corev3.Node{}
	}
	if o.ServiceNode != "" {
		b.Node.Id = o.ServiceNode
	}
	if o.ServiceCluster != "" {
		b.Node.Cluster = o.ServiceCluster
	}
}
