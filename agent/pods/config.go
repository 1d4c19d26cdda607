package pods

import (
	"fmt"
	"os"

	"sigs.k8s.io/yaml"
)

// file is the agent's configuration file.
type file struct {
	Pods []Spec `json:"pods"`
}

// Load reads the pods of a configuration file (YAML or JSON). A field that it
// does not know is an error.
func Load(path string) ([]Spec, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	specs, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return specs, nil
}

func parse(text []byte) ([]Spec, error) {
	var f file
	if err := yaml.UnmarshalStrict(text, &f); err != nil {
		return nil, err
	}
	seen := map[string]int{}
	for i := range f.Pods {
		s := &f.Pods[i]
		if err := s.Complete(); err != nil {
			return nil, fmt.Errorf("pods[%d] (%s): %w", i, s.Name, err)
		}
		if first, twice := seen[s.Key()]; twice {
			return nil, fmt.Errorf("pods[%d]: %s is pods[%d] already", i, s.Key(), first)
		}
		seen[s.Key()] = i
	}
	return f.Pods, nil
}
