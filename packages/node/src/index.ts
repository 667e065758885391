/** Node transports, audio and observability for `@apipeline/core`. */
