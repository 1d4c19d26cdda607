// Command image writes weir's container image to a tar file, with neither a
// registry nor a container engine: one layer with one static binary.
//
//	go run ./deploy/image -o weir-image.tar
//	ctr -n k8s.io images import weir-image.tar      # or: docker load -i …
package main

import (
	"archive/tar"
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func main() {
	binary := flag.String("binary", "bin/weir", "the static `BINARY`: the image's only file and its entry point")
	out := flag.String("o", "weir-image.tar", "the `FILE` to write")
	tag := flag.String("tag", "weir.dev/weir:dev", "the image's `NAME`")
	flag.Parse()
	if err := build(*binary, *tag, *out); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func build(binary, tag, out string) error {
	ref, err := name.NewTag(tag, name.StrictValidation)
	if err != nil {
		return err
	}
	files, err := layer(binary)
	if err != nil {
		return err
	}
	image, err := mutate.AppendLayers(empty.Image, files)
	if err != nil {
		return err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return err
	}
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config.Entrypoint = []string{"/" + filepath.Base(binary)}
	config.Config.Labels = map[string]string{
		"org.opencontainers.image.title":    filepath.Base(binary),
		"org.opencontainers.image.licenses": "Apache-2.0",
	}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return err
	}
	return tarball.WriteToFile(out, ref, image)
}

// layer is the root file system: nothing in it has a date, so the same binary
// makes the same image.
func layer(binary string) (v1.Layer, error) {
	text, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	var files bytes.Buffer
	w := tar.NewWriter(&files)
	for _, h := range []*tar.Header{
		{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777},
		{Typeflag: tar.TypeReg, Name: filepath.Base(binary), Mode: 0o755, Size: int64(len(text))},
	} {
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
	}
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(files.Bytes())), nil
	})
}
