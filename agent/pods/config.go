package pods

import (
	"fmt"
	"net/netip"
	"os"

	"sigs.k8s.io/yaml"
)

// file is the agent's configuration file.
type file struct {
	Pods     []Spec    `json:"pods"`
	Services []Service `json:"services"`
}

// Load reads the pods and services of a configuration file (YAML or JSON). A
// field that it does not know is an error.
func Load(path string) ([]Spec, []Service, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	specs, services, err := parse(text)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return specs, services, nil
}

func parse(text []byte) ([]Spec, []Service, error) {
	var f file
	if err := yaml.UnmarshalStrict(text, &f); err != nil {
		return nil, nil, err
	}
	specs, err := completePods(&f)
	if err != nil {
		return nil, nil, err
	}
	known := map[netip.AddrPort]int{}
	for i := range f.Services {
		s := &f.Services[i]
		if err := s.Check(); err != nil {
			return nil, nil, fmt.Errorf("services[%d] (%s): %w", i, s.Name, err)
		}
		if first, twice := known[s.Address]; twice {
			return nil, nil, fmt.Errorf("services[%d]: %s is services[%d] already", i, s.Address, first)
		}
		known[s.Address] = i
	}
	return specs, f.Services, nil
}

func completePods(f *file) ([]Spec, error) {
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
