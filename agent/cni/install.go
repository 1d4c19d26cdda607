package cni

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Install says where the node's CNI is, and what the plugin's entry says.
type Install struct {
	// BinDir and ConfDir are the runtime's (as the installer sees them).
	BinDir, ConfDir string
	// RunDir is the agent's, as the node sees it.
	RunDir            string
	OnError           string
	ExcludeNamespaces []string
	Log               *slog.Logger
}

// Keep installs the plugin and keeps it installed until ctx is done: the
// primary plugin may come later, or write its configuration again.
func (i Install) Keep(ctx context.Context) error {
	if err := i.copyBinary(); err != nil {
		return err
	}
	ticks := time.NewTicker(2 * time.Second)
	defer ticks.Stop()
	said := ""
	for {
		file, changed, err := i.chain()
		switch {
		case err != nil && err.Error() != said:
			said = err.Error()
			i.Log.Warn("the plugin is not in the network configuration", "error", err)
		case err == nil && changed:
			said = ""
			i.Log.Info("the plugin is in the network configuration", "file", file)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
	}
}

// Remove takes the plugin out of every network configuration, then its binary.
func (i Install) Remove() error {
	files, err := i.configurations()
	if err != nil {
		return err
	}
	var errs []error
	for _, file := range files {
		errs = append(errs, edit(file, func(plugins []map[string]any) []map[string]any {
			return slices.DeleteFunc(plugins, isOurs)
		}))
	}
	if err := os.Remove(filepath.Join(i.BinDir, Binary)); err != nil && !errors.Is(err, os.ErrNotExist) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// copyBinary puts this program at BinDir/weir-cni, whole or not at all: the
// runtime may run it at any moment.
func (i Install) copyBinary() error {
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer from.Close()
	path := filepath.Join(i.BinDir, Binary)
	to, err := os.CreateTemp(i.BinDir, "."+Binary+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(to.Name()) // no longer there if all went well
	_, err = io.Copy(to, from)
	if err = errors.Join(err, to.Chmod(0o755), to.Close()); err != nil {
		return err
	}
	return os.Rename(to.Name(), path)
}

// chain puts the plugin behind the others of the configuration that the
// runtime uses: the first by name.
func (i Install) chain() (file string, changed bool, err error) {
	files, err := i.configurations()
	if err != nil {
		return "", false, err
	}
	if len(files) == 0 {
		return "", false, fmt.Errorf("%s has no network configuration list (*.conflist) yet", i.ConfDir)
	}
	file = files[0]
	entry := map[string]any{"type": Binary, "run_dir": i.RunDir}
	if i.OnError != "" {
		entry["on_error"] = i.OnError
	}
	if len(i.ExcludeNamespaces) > 0 {
		list := make([]any, len(i.ExcludeNamespaces))
		for n, name := range i.ExcludeNamespaces {
			list[n] = name
		}
		entry["exclude_namespaces"] = list
	}
	err = edit(file, func(plugins []map[string]any) []map[string]any {
		others := slices.DeleteFunc(slices.Clone(plugins), isOurs)
		wanted := append(others, entry)
		changed = !slices.EqualFunc(plugins, wanted, equal)
		return wanted
	})
	return file, changed, err
}

func (i Install) configurations() ([]string, error) {
	entries, err := os.ReadDir(i.ConfDir) // sorted by name, as the runtimes do
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".conflist") && !e.IsDir() {
			files = append(files, filepath.Join(i.ConfDir, e.Name()))
		}
	}
	return files, nil
}

func isOurs(plugin map[string]any) bool { return plugin["type"] == Binary }

func equal(a, b map[string]any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// edit changes the plugins of a configuration list and leaves the rest as it
// is. The file is replaced whole, and only if something changes.
func edit(file string, change func([]map[string]any) []map[string]any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var list map[string]json.RawMessage
	if err := json.Unmarshal(text, &list); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	var plugins []map[string]any
	if err := json.Unmarshal(list["plugins"], &plugins); err != nil {
		return fmt.Errorf("%s: plugins: %w", file, err)
	}
	changed := change(slices.Clone(plugins))
	if slices.EqualFunc(plugins, changed, equal) {
		return nil
	}
	if list["plugins"], err = json.Marshal(changed); err != nil {
		return err
	}
	if text, err = json.MarshalIndent(list, "", "  "); err != nil {
		return err
	}
	return replace(file, text)
}

func replace(file string, text []byte) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	tmp := filepath.Join(filepath.Dir(file), "."+filepath.Base(file)+".weir")
	if err := os.WriteFile(tmp, append(text, '\n'), info.Mode().Perm()); err != nil {
		return err
	}
	return os.Rename(tmp, file)
}
