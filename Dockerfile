# One static binary and the public certificate authorities, nothing else: no shell, no package manager, no root.
#   docker build -t mqttdoctor --build-arg VERSION=v1.2.3 .
#   docker run -p 8080:8080 -v mqttdoctor:/data mqttdoctor
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# Without cgo the binary needs no C library. Generated code is in the tree, so nothing is generated here.
ARG VERSION=
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags="-s -w -buildid= -X mqttdoctor/web.version=$VERSION" -o /out/mqttdoctor ./cmd/mqttdoctor
# Folders that the user below may write to; scratch has no program that could make them.
RUN mkdir -p /out/data /out/tmp

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/mqttdoctor /mqttdoctor
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build --chown=65532:65532 /out/tmp /tmp
# A number, so that an orchestrator can see that it is not root.
USER 65532:65532
# In a container loopback is the container's own: it listens on every address, and so diagnoses public addresses only
# unless told otherwise.
ENV MQTTDOCTOR_LISTEN=0.0.0.0:8080 MQTTDOCTOR_DATA=/data
EXPOSE 8080
VOLUME ["/data"]
ENTRYPOINT ["/mqttdoctor"]
