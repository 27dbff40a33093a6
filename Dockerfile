# Built with everything, runs with what it needs: about 45 MB beside Node itself. Not root, no npm and no shell at run time, the root file system may be read-only.
# The database is elsewhere: DATABASE_URL (compose.yaml has one beside it). For a build that is the same next year, give the digest of the base:
#   docker build --build-arg NODE_IMAGE=node@sha256:… .
ARG NODE_IMAGE=node:24.21.0-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /signet
COPY package.json package-lock.json .npmrc ./
# Optional packages are the embedded PostgreSQL and a Node for machines that have none. No package of ours needs its install script here.
RUN npm ci --omit=optional --ignore-scripts
COPY . .
RUN npm run -s build && node scripts/image.ts /image

FROM ${NODE_IMAGE}
ENV NODE_ENV=production
WORKDIR /signet
COPY --from=build /image ./
# The one folder it writes to: the first admin token. uid 1000 is the base image's user `node`.
# npm is for building.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack \
 && ln -s /signet/dist/signet.js /usr/local/bin/signet \
 && mkdir -p /var/lib/signet \
 && chown 1000:1000 /var/lib/signet && chmod 0700 /var/lib/signet
USER 1000:1000
ENV SIGNET_DATA_DIR=/var/lib/signet \
    SIGNET_API_LISTEN=0.0.0.0:8443 SIGNET_MTLS_LISTEN=0.0.0.0:8444 SIGNET_STATUS_LISTEN=0.0.0.0:8080 SIGNET_OPERATIONS_LISTEN=0.0.0.0:9464
VOLUME /var/lib/signet
EXPOSE 8443 8444 8080 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["node", "-e", "const port = (process.env.SIGNET_OPERATIONS_LISTEN ?? '').split(':').pop() || '9464'; fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(4000) }).then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "dist/main.js"]
