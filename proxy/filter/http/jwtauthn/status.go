package jwtauthn

// status is why a token is refused; "" when it is not. The texts are the
// bodies that clients get.
type status string

const (
	ok                 status = ""
	missing            status = "Jwt is missing"
	notYetValid        status = "Jwt not yet valid"
	expired            status = "Jwt is expired"
	badFormat          status = "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections"
	headerBase64       status = "Jwt header is an invalid Base64url encoded"
	headerJSON         status = "Jwt header is an invalid JSON"
	headerAlg          status = "Jwt header [alg] field is required and must be a string"
	headerAlgUnknown   status = "Jwt header [alg] is not supported"
	headerKid          status = "Jwt header [kid] field is not a string"
	payloadBase64      status = "Jwt payload is an invalid Base64url encoded"
	payloadJSON        status = "Jwt payload is an invalid JSON"
	payloadIss         status = "Jwt payload [iss] field is not a string"
	payloadSub         status = "Jwt payload [sub] field is not a string"
	payloadJti         status = "Jwt payload [jti] field is not a string"
	payloadIat         status = "Jwt payload [iat] field is not an integer"
	payloadNbf         status = "Jwt payload [nbf] field is not an integer"
	payloadExp         status = "Jwt payload [exp] field is not an integer"
	payloadAud         status = "Jwt payload [aud] field is not a string or string list"
	signatureBase64    status = "Jwt signature is an invalid Base64url encoded"
	unknownIssuer      status = "Jwt issuer is not configured"
	audienceNotAllowed status = "Audiences in Jwt are not allowed"
	subjectNotAllowed  status = "Subject in Jwt is not allowed"
	lifetimeNotAllowed status = "Jwt lifetime is longer than allowed"
	noExpiration       status = "Jwt is missing expiration"
	verificationFails  status = "Jwt verification fails"
	noKeys             status = "Jwks doesn't have any valid public key"
	noMatchingKey      status = "Jwks doesn't have key to match kid or alg from Jwt"
	fetchFails         status = "Jwks remote fetch is failed"
)
