package pods

import (
	"fmt"
	"os"

	"sigs.k8s.io/yaml"
)

// Config is the agent's configuration file.
type Config struct {
	Pods     []Spec    `json:"pods"`
	Services []Service `json:"services"`
	Peers    []Peer    `json:"peers"`
}

// Load reads a configuration file (YAML or JSON). A field that it does not
// know is an error.
func Load(path string) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func parse(text []byte) (*Config, error) {
	var c Config
	if err := yaml.UnmarshalStrict(text, &c); err != nil {
		return nil, err
	}
	if err := completeAll(c.Pods, "pods", (*Spec).Complete, (*Spec).Key); err != nil {
		return nil, err
	}
	if err := completeAll(c.Services, "services", (*Service).Check, (*Service).key); err != nil {
		return nil, err
	}
	if err := completeAll(c.Peers, "peers", (*Peer).Complete, (*Peer).Key); err != nil {
		return nil, err
	}
	return &c, nil
}

// completeAll completes what a field lists, of which no two may be the same.
func completeAll[T any](all []T, field string, complete func(*T) error, key func(*T) string) error {
	seen := map[string]int{}
	for i := range all {
		if err := complete(&all[i]); err != nil {
			return fmt.Errorf("%s[%d] (%s): %w", field, i, key(&all[i]), err)
		}
		k := key(&all[i])
		if first, twice := seen[k]; twice {
			return fmt.Errorf("%s[%d]: %s is %s[%d] already", field, i, k, field, first)
		}
		seen[k] = i
	}
	return nil
}
