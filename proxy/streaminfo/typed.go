package streaminfo

// TypedMessage is a message in dynamic metadata: a google.protobuf.Any.
type TypedMessage struct {
	TypeURL string
	Value   []byte // not to be changed
}

// SetTypedMetadata puts a message into a namespace of the dynamic metadata.
func (i *Info) SetTypedMetadata(namespace string, m TypedMessage) {
	if i.TypedMetadata == nil {
		i.TypedMetadata = map[string]TypedMessage{}
	}
	i.TypedMetadata[namespace] = m
}
