package xds

import (
	"encoding/hex"
	"os"
	"path/filepath"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"

	"github.com/weirproxy/weir/internal/field"
)

// Check tells whether a source can be subscribed to, without doing so.
func (c *Client) Check(path field.Path, src *corev3.ConfigSource, typeURL string) error {
	if err := checkSource(path, src); err != nil {
		return err
	}
	switch s := src.GetConfigSourceSpecifier().(type) {
	case *corev3.ConfigSource_Ads:
		return nil // as Envoy, which asks for ads_config only when it starts
	case *corev3.ConfigSource_ApiConfigSource:
		_, err := c.apiServer(path.Dot("api_config_source"), s.ApiConfigSource, typeURL)
		return err
	case *corev3.ConfigSource_PathConfigSource:
		return checkFile(path.Dot("path_config_source"), s.PathConfigSource)
	case *corev3.ConfigSource_Path:
		//lint:ignore SA1019 Envoy still takes it
		return checkFile(path, &corev3.PathConfigSource{Path: s.Path})
	}
	return noSource(path)
}

func checkSource(path field.Path, src *corev3.ConfigSource) error {
	if err := field.Only(path, src, "path", "path_config_source", "api_config_source", "ads",
		"initial_fetch_timeout", "resource_api_version"); err != nil {
		return err
	}
	if d := src.GetInitialFetchTimeout().AsDuration(); d < 0 {
		return path.Dot("initial_fetch_timeout").Errorf("%v is negative", d)
	}
	if v := src.GetResourceApiVersion(); v != corev3.ApiVersion_AUTO && v != corev3.ApiVersion_V3 {
		return path.Dot("resource_api_version").Errorf("%s is no longer supported, set V3", v)
	}
	return nil
}

func noSource(path field.Path) error {
	return path.Errorf("no source: set path_config_source, api_config_source or ads")
}

// collectionFor finds the collection of the request's type at its source, or
// makes it.
func (c *Client) collectionFor(req Request) (*collection, error) {
	path, src := req.Path, req.Source
	if err := checkSource(path, src); err != nil {
		return nil, err
	}
	switch s := src.GetConfigSourceSpecifier().(type) {
	case *corev3.ConfigSource_Ads:
		return c.adsCollection(path.Dot("ads"), req.TypeURL)
	case *corev3.ConfigSource_ApiConfigSource:
		return c.apiCollection(path.Dot("api_config_source"), s.ApiConfigSource, req)
	case *corev3.ConfigSource_PathConfigSource:
		return c.fileCollection(path.Dot("path_config_source"), s.PathConfigSource, req.TypeURL)
	case *corev3.ConfigSource_Path:
		//lint:ignore SA1019 Envoy still takes it
		return c.fileCollection(path, &corev3.PathConfigSource{Path: s.Path}, req.TypeURL)
	}
	return nil, noSource(path)
}

func (c *Client) checkADS(path field.Path) error {
	if c.ads == nil {
		return path.Errorf("dynamic_resources.ads_config must be set for this")
	}
	return c.checkNode(path)
}

func (c *Client) adsCollection(path field.Path, typeURL string) (*collection, error) {
	if err := c.checkADS(path); err != nil {
		return nil, err
	}
	return c.streamCollection("", typeURL, func() wire {
		if c.ads.delta {
			return c.newDelta("", adsDeltaMethod, c.ads, c.stats)
		}
		return c.newSotw("", adsMethod, c.ads, c.stats)
	}), nil
}

// apiServer is the server of a source that is not ADS.
func (c *Client) apiServer(path field.Path, api *corev3.ApiConfigSource, typeURL string) (*target, error) {
	t, err := c.apiTarget(path, api, typeURL == SecretType)
	if err != nil {
		return nil, err
	}
	if err := c.checkNode(path); err != nil {
		return nil, err
	}
	service, ok := services[typeURL]
	if !ok {
		return nil, path.Errorf("weir knows no service for %s", typeURL)
	}
	if service.stream == "" && !t.delta {
		return nil, path.Dot("api_type").Errorf("%s needs DELTA_GRPC", shortType(typeURL))
	}
	return t, nil
}

func (c *Client) apiCollection(path field.Path, api *corev3.ApiConfigSource, req Request) (*collection, error) {
	t, err := c.apiServer(path, api, req.TypeURL)
	if err != nil {
		return nil, err
	}
	service := services[req.TypeURL]
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(api)
	if err != nil {
		return nil, path.Wrap(err)
	}
	key := "api " + hex.EncodeToString(raw) + " " + req.TypeURL
	if t.rest != nil {
		return c.restCollection(key, req.TypeURL, service.rest, t), nil
	}
	return c.streamCollection(key, req.TypeURL, func() wire {
		if t.delta {
			return c.newDelta(key, service.delta, t, orNoStats(req.Stats))
		}
		return c.newSotw(key, service.stream, t, orNoStats(req.Stats))
	}), nil
}

// streamCollection is the collection of a type on the stream named key, which
// is opened if there is none.
func (c *Client) streamCollection(key, typeURL string, open func() wire) *collection {
	id := key + " " + typeURL
	if col := c.collections[id]; col != nil {
		return col
	}
	s := c.streams[key]
	if s == nil {
		s = open()
		c.streams[key] = s
	}
	col := c.newCollection(id, typeURL, s)
	s.addType(col)
	return col
}

func checkFile(path field.Path, p *corev3.PathConfigSource) error {
	if err := field.Only(path, p, "path", "watched_directory"); err != nil {
		return err
	}
	if err := field.Only(path.Dot("watched_directory"), p.GetWatchedDirectory(), "path"); err != nil {
		return err
	}
	_, err := os.Stat(p.Path)
	return path.Dot("path").Wrap(err)
}

func (c *Client) fileCollection(path field.Path, p *corev3.PathConfigSource, typeURL string) (*collection, error) {
	if err := checkFile(path, p); err != nil {
		return nil, err
	}
	name := filepath.Clean(p.Path)
	id := "file " + name + " " + p.GetWatchedDirectory().GetPath() + " " + typeURL
	if col := c.collections[id]; col != nil {
		return col, nil
	}
	f := &fileSource{client: c, path: name}
	if dir := p.GetWatchedDirectory().GetPath(); dir != "" {
		f.dir, f.anyName = filepath.Clean(dir), true
	} else {
		f.dir = filepath.Dir(name)
	}
	if err := c.files.add(f); err != nil {
		return nil, path.Wrap(err)
	}
	f.col = c.newCollection(id, typeURL, f)
	return f.col, nil
}

func (c *Client) newCollection(id, typeURL string, s source) *collection {
	col := &collection{client: c, id: id, typeURL: typeURL, source: s,
		watched: map[string]int{}, known: map[string]stored{}}
	c.collections[id] = col
	return col
}
