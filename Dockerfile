# Build with everything, run with what is needed. Node 24, not root, no shell scripts.
FROM node:24-bookworm-slim AS build
WORKDIR /signet
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
# The image has its own Node 24: the copy that npm brings for other machines (190 MB) stays behind.
RUN npm run -s build && npm prune --omit=dev && rm -rf node_modules/node-linux-* node_modules/.bin/node

FROM node:24-bookworm-slim
ENV NODE_ENV=production
WORKDIR /signet
COPY --from=build /signet/package.json ./
COPY --from=build /signet/node_modules ./node_modules
COPY --from=build /signet/dist ./dist
COPY --from=build /signet/prisma ./prisma
RUN mkdir -p /var/lib/signet && chown node:node /var/lib/signet
USER node
ENV SIGNET_DATA_DIR=/var/lib/signet \
    SIGNET_API_LISTEN=0.0.0.0:8443 SIGNET_MTLS_LISTEN=0.0.0.0:8444 SIGNET_STATUS_LISTEN=0.0.0.0:8080 SIGNET_OPERATIONS_LISTEN=0.0.0.0:9464
EXPOSE 8443 8444 8080 9464
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["node", "-e", "fetch('http://127.0.0.1:9464/readyz').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "dist/main.js"]
